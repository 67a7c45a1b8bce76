// Package ics23check checks the state's roots and proofs with the reference implementation of ICS-23.
//
// It is a module of its own, so that the node does not depend on that implementation; it has only
// tests. Run them with: go -C internal/ics23check test .
//
// Source: ICS-23, github.com/cosmos/ics23/go, SmtSpec.
package ics23check
