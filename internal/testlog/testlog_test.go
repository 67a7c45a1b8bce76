package testlog_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tercet-chain/tercet/internal/testlog"
)

// recorder is a testing.TB that keeps what would have been reported. The
// embedded TB is nil: any method that testlog is not meant to call panics.
type recorder struct {
	testing.TB

	mu       sync.Mutex
	lines    []string
	failures []string
	cleanups []func()
}

func (r *recorder) Helper() {}

func (r *recorder) Log(args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprint(args...))
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) end() {
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
}

func TestNew(t *testing.T) {
	warn := func(l *slog.Logger) { l.Warn("peer sent garbage", "peer", "n2") }
	for _, tc := range []struct {
		name     string
		opts     []testlog.Option
		log      func(*slog.Logger)
		lines    int
		failures int
	}{
		{name: "info passes", log: func(l *slog.Logger) { l.Info("started") }, lines: 1},
		{name: "undeclared warning fails", log: warn, failures: 1},
		{name: "undeclared error fails", log: func(l *slog.Logger) { l.Error("disk gone") }, failures: 1},
		{name: "declared by message", opts: []testlog.Option{testlog.Expect("garbage")}, log: warn, lines: 1},
		{name: "declared by attribute", opts: []testlog.Option{testlog.Expect("peer=n2")}, log: warn, lines: 1},
		{name: "another declaration does not help", opts: []testlog.Option{testlog.Expect("peer=n3")}, log: warn, failures: 1},
		{name: "unused expectation is fine", opts: []testlog.Option{testlog.Expect("x")}, log: func(*slog.Logger) {}},
		{name: "unmet requirement fails", opts: []testlog.Option{testlog.Require("x")}, log: func(*slog.Logger) {}, failures: 1},
		{name: "met requirement passes", opts: []testlog.Option{testlog.Require("garbage")}, log: warn, lines: 1},
		{
			name: "derived loggers share the declarations", opts: []testlog.Option{testlog.Expect("part.peer=n2")},
			log: func(l *slog.Logger) { warn(l.With("chain", 1).WithGroup("part")) }, lines: 1,
		},
		{
			name: "derived loggers fail too", log: func(l *slog.Logger) { warn(l.With("chain", 1)) }, failures: 1,
		},
		{
			name: "level hides", opts: []testlog.Option{testlog.Level(slog.LevelInfo)},
			log: func(l *slog.Logger) { l.Debug("tick"); l.Info("tock") }, lines: 1,
		},
		{
			name: "level never hides a warning", opts: []testlog.Option{testlog.Level(slog.LevelError + 1)},
			log: warn, failures: 1,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &recorder{}
			tc.log(testlog.New(r, tc.opts...))
			r.end()
			if len(r.lines) != tc.lines || len(r.failures) != tc.failures {
				t.Errorf("got lines %q and failures %q, want %d and %d", r.lines, r.failures, tc.lines, tc.failures)
			}
		})
	}
}

func TestNew_rendersWithoutTime(t *testing.T) {
	r := &recorder{}
	testlog.New(r).With("chain", 7).Info("block executed", "height", 3)
	if got, want := r.lines[0], `level=INFO msg="block executed" chain=7 height=3`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNew_afterTheTestEnded(t *testing.T) {
	r := &recorder{}
	l := testlog.New(r)
	r.end()
	l.Error("late")
	if len(r.lines)+len(r.failures) != 0 {
		t.Errorf("a late record reached the test: %q %q", r.lines, r.failures)
	}
}

func TestNew_concurrent(t *testing.T) {
	r := &recorder{}
	l := testlog.New(r, testlog.Expect("expected"))
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			own := l.With("writer", w)
			for i := range each {
				own.Info("info", "i", i)
				own.Warn("expected", "i", i)
			}
		})
	}
	wg.Wait()
	r.end()
	if len(r.failures) != 0 || len(r.lines) != 2*writers*each {
		t.Fatalf("got %d lines and failures %q, want %d lines", len(r.lines), r.failures, 2*writers*each)
	}
	for _, line := range r.lines {
		if strings.Count(line, "writer=") != 1 || strings.Contains(line, "\n") {
			t.Fatalf("a line was torn: %q", line)
		}
	}
}

// The late goroutine of a real test neither panics nor fails it.
func TestNew_realTest(t *testing.T) {
	var l *slog.Logger
	t.Run("inner", func(t *testing.T) { l = testlog.New(t); l.Info("hello") })
	l.Error("after the inner test ended")
}
