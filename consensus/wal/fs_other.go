//go:build !linux

package wal

// Allocate makes a hole of the size.
func (f osFile) Allocate(size int64) error { return f.extend(size) }
