// Package testlog lets a test fail on every warning that it did not announce.
//
// [New] returns an ordinary [slog.Logger] whose records appear in the output of
// the test. A record at WARN or above means that a peer, a disk or the operator
// has to be told something; a test in which that happens either wanted it, and
// says so with [Expect], or has found a bug. Expectations are permissions, not
// obligations, unless they are made with [Require].
//
// Components may outlive their test by a moment. A record that arrives after
// the test has ended is dropped: it can neither panic nor fail a neighbour.
//
// The idea is the test logger of ava-labs/strevm.
package testlog

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// New returns a logger that writes every record to t and fails t on a record at
// WARN or above that no [Expect] or [Require] names. It is safe for concurrent
// use, also by goroutines that outlive the test.
func New(t testing.TB, opts ...Option) *slog.Logger {
	t.Helper()
	s := &sink{t: t, level: slog.LevelDebug}
	for _, opt := range opts {
		opt(s)
	}
	s.text = slog.NewTextHandler(&s.line, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime})
	t.Cleanup(s.close)
	return slog.New(&handler{sink: s, text: s.text})
}

// An Option changes what [New] tolerates or prints.
type Option func(*sink)

// Expect permits records at WARN or above whose rendered line (message and
// attributes, as in the test's output) contains substring.
func Expect(substring string) Option {
	return func(s *sink) { s.expected = append(s.expected, expectation{substring: substring}) }
}

// Require is [Expect] that also fails the test if no record at WARN or above
// has contained substring by the time the test ends.
func Require(substring string) Option {
	return func(s *sink) {
		s.expected = append(s.expected, expectation{substring: substring, required: true})
	}
}

// Level hides records below level from the output. The default shows all.
func Level(level slog.Level) Option {
	return func(s *sink) { s.level = level }
}

type expectation struct {
	substring string
	required  bool
	seen      bool
}

// sink is shared by a logger and everything derived from it with With.
type sink struct {
	level slog.Level // set before the logger is handed out

	mu       sync.Mutex // guards everything below and every call of t
	t        testing.TB
	closed   bool
	line     bytes.Buffer // one rendered record at a time
	text     slog.Handler // writes to line
	expected []expectation
}

// close runs as a cleanup of the test: from then on t must not be touched.
func (s *sink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, e := range s.expected {
		if e.required && !e.seen {
			s.t.Errorf("testlog: no WARN or ERROR contained %q", e.substring)
		}
	}
}

func (s *sink) permits(line string) bool {
	permitted := false
	for i := range s.expected {
		if strings.Contains(line, s.expected[i].substring) {
			s.expected[i].seen = true
			permitted = true
		}
	}
	return permitted
}

// handler renders with text, which writes into the sink's line buffer.
type handler struct {
	sink *sink
	text slog.Handler
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.sink.level || level >= slog.LevelWarn
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	s := h.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.line.Reset()
	if err := h.text.Handle(ctx, r); err != nil {
		return fmt.Errorf("rendering a log record: %w", err)
	}
	line := strings.TrimSuffix(s.line.String(), "\n")
	if r.Level >= slog.LevelWarn && !s.permits(line) {
		s.t.Errorf("undeclared %v (declare it with testlog.Expect if the test wants it): %s", r.Level, line)
		return nil
	}
	s.t.Log(line)
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{sink: h.sink, text: h.text.WithAttrs(attrs)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{sink: h.sink, text: h.text.WithGroup(name)}
}

// withoutTime drops the timestamp: it differs between runs and inside a
// synctest bubble means nothing.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
