package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// askEvidence asks for the proofs that a status counts; none when it counts none.
func askEvidence(ctx context.Context, url string, status json.RawMessage) (json.RawMessage, error) {
	var s struct {
		Evidence number `json:"evidence"`
	}
	if err := json.Unmarshal(status, &s); err != nil || s.Evidence == 0 {
		return nil, nil //nolint:nilerr // a status that is no object is printed as it came
	}
	var proofs json.RawMessage
	if err := callRPC(ctx, url, "tercet_evidence", &proofs); err != nil {
		return nil, notReady("%w", err)
	}
	return proofs, nil
}

// withAccusations puts proofs into the object of a status, behind its other fields.
func withAccusations(status, proofs json.RawMessage) json.RawMessage {
	open, ok := bytes.CutSuffix(bytes.TrimSpace(status), []byte("}"))
	if proofs == nil || !ok {
		return status
	}
	return fmt.Appendf(nil, `%s,"accusations":%s}`, open, proofs)
}

// accused is what the proofs say about one validator.
type accused struct {
	validator   string
	proofs      int
	first, last number // views
	since       number // Unix ms
	kinds       []string
}

// printAccused writes a line per accused validator, in the order in which they were found, and what to do.
func printAccused(w io.Writer, proofs json.RawMessage) error {
	if proofs == nil {
		return nil
	}
	var list []struct {
		Validator string   `json:"validator"`
		View      number   `json:"view"`
		Kinds     []string `json:"kinds"`
		FirstSeen number   `json:"firstSeen"`
	}
	if err := json.Unmarshal(proofs, &list); err != nil {
		return fmt.Errorf("reading the evidence: %w", err)
	}
	var all []*accused
	byName := map[string]*accused{}
	for _, p := range list {
		a := byName[p.Validator]
		if a == nil {
			a = &accused{validator: p.Validator, first: p.View, last: p.View, since: p.FirstSeen, kinds: p.Kinds}
			byName[p.Validator], all = a, append(all, a)
		}
		a.proofs++
		a.first, a.last = min(a.first, p.View), max(a.last, p.View)
	}
	for _, a := range all {
		views := fmt.Sprintf("view %d", a.first)
		if a.last != a.first {
			views = fmt.Sprintf("views %d to %d", a.first, a.last)
		}
		if _, err := fmt.Fprintf(w, "%-18s %s signed %s in %s, first seen %s (%d kept): its key is used twice or its program lies. "+
			"Have its operator stop it and look for a second process or a stolen key; the chain is safe while less than a third of the validators do this.\n",
			"accused", a.validator, strings.Join(a.kinds, " and "), views, time.UnixMilli(int64(a.since)).UTC().Format(time.RFC3339), a.proofs); err != nil {
			return err
		}
	}
	return nil
}
