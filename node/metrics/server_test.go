package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/internal/testlog"
	"github.com/tercet-chain/tercet/node/metrics"
)

// operations is a running server and what it answers from.
type operations struct {
	*metrics.Server
	metrics *metrics.Metrics
	level   *slog.LevelVar
	live    error
	reasons []metrics.Reason
	stop    func() error
}

func run(t *testing.T) *operations {
	t.Helper()
	o := &operations{
		metrics: metrics.NewMetrics(metrics.Build{Version: "1.2.3", Commit: "abc", Go: "go1.26", Secp256k1: "pure Go"}),
		level:   &slog.LevelVar{},
	}
	server, err := metrics.New(metrics.Config{
		Listen:  "127.0.0.1:0",
		Metrics: o.metrics,
		Sample:  func(m *metrics.Metrics) { m.ExecutedHeight.Set(42) },
		Live:    func() error { return o.live },
		Ready:   func() []metrics.Reason { return o.reasons },
		Level:   o.level,
		Logger:  testlog.New(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Server = server
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	o.stop = func() error { cancel(); return <-done }
	return o
}

func (o *operations) request(t *testing.T, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, o.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

func TestServer_health(t *testing.T) {
	for _, tc := range []struct {
		name    string
		live    error
		reasons []metrics.Reason
		path    string
		status  int
		want    string
	}{
		{name: "alive", path: "/livez", status: 200, want: `{"live":true}`},
		{name: "dead", live: errors.New("disk gone"), path: "/livez", status: 503, want: `{"live":false,"reason":"disk gone"}`},
		{name: "ready", path: "/readyz", status: 200, want: `{"ready":true,"reasons":[]}`},
		{
			name: "not ready", reasons: []metrics.Reason{{Code: "no_quorum", Message: "1 of 3"}}, path: "/readyz", status: 503,
			want: `{"ready":false,"reasons":[{"code":"no_quorum","message":"1 of 3"}]}`,
		},
		{name: "waiting is not dead", reasons: []metrics.Reason{{Code: "x"}}, path: "/livez", status: 200, want: `{"live":true}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := run(t)
			o.live, o.reasons = tc.live, tc.reasons
			status, body := o.request(t, http.MethodGet, tc.path, "")
			if status != tc.status || strings.TrimSpace(body) != tc.want {
				t.Errorf("got %d %s, want %d %s", status, body, tc.status, tc.want)
			}
			if err := o.stop(); err != nil {
				t.Errorf("stopping: %v", err)
			}
		})
	}
}

func TestServer_metrics(t *testing.T) {
	o := run(t)
	o.metrics.Blocks.Add(3)
	o.metrics.Drops.WithLabelValues("nonce too low").Inc()
	status, body := o.request(t, http.MethodGet, "/metrics", "")
	if status != http.StatusOK {
		t.Fatalf("got %d: %s", status, body)
	}
	for _, want := range []string{
		"\ntercet_ledger_executed_height 42\n",
		"\ntercet_ledger_blocks_total 3\n",
		`tercet_ledger_drops_total{reason="nonce too low"} 1`,
		`tercet_build_info{commit="abc",go="go1.26",secp256k1="pure Go",version="1.2.3"} 1`,
		"\ngo_goroutines ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// Two nodes in one process do not share measurements.
func TestNewMetrics_twice(t *testing.T) {
	a, b := run(t), run(t)
	a.metrics.Blocks.Inc()
	if _, body := b.request(t, http.MethodGet, "/metrics", ""); !strings.Contains(body, "\ntercet_ledger_blocks_total 0\n") {
		t.Error("one node's block is counted for the other")
	}
}

func TestServer_logLevel(t *testing.T) {
	for _, tc := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		want                     slog.Level
	}{
		{name: "plain", method: http.MethodPut, path: "/loglevel", body: "debug\n", status: 200, want: slog.LevelDebug},
		{name: "json", method: http.MethodPost, path: "/loglevel", body: `{"level":"WARN"}`, status: 200, want: slog.LevelWarn},
		{name: "query", method: http.MethodPost, path: "/loglevel?level=error", status: 200, want: slog.LevelError},
		{name: "read", method: http.MethodGet, path: "/loglevel", status: 200},
		{name: "unknown", method: http.MethodPut, path: "/loglevel", body: "loud", status: 400},
		{name: "empty", method: http.MethodPut, path: "/loglevel", status: 400},
		{name: "broken json", method: http.MethodPut, path: "/loglevel", body: "{", status: 400},
		{name: "oversize", method: http.MethodPut, path: "/loglevel", body: strings.Repeat("x", 1000), status: 400},
		{name: "wrong method", method: http.MethodDelete, path: "/loglevel", status: 405},
		{
			name: "from a web page", method: http.MethodPost, path: "/loglevel?level=error", status: 403,
			header: []string{"Origin", "https://example.test", "Sec-Fetch-Site", "cross-site"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := run(t)
			status, body := o.request(t, tc.method, tc.path, tc.body, tc.header...)
			if status != tc.status || o.level.Level() != tc.want {
				t.Errorf("got %d %s and level %v, want %d and %v", status, body, o.level.Level(), tc.status, tc.want)
			}
			if status == http.StatusOK {
				var answer struct{ Level slog.Level }
				if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Level != tc.want {
					t.Errorf("got %s (%v), want level %v", body, err, tc.want)
				}
			}
		})
	}
}

func TestServer_profilesAndIndex(t *testing.T) {
	o := run(t)
	for path, want := range map[string]string{
		"/":                              "/readyz",
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
	} {
		if status, body := o.request(t, http.MethodGet, path, ""); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: got %d, want 200 and %q", path, status, want)
		}
	}
	if status, _ := o.request(t, http.MethodGet, "/nothing", ""); status != http.StatusNotFound {
		t.Errorf("/nothing: got %d, want 404", status)
	}
}

func TestNew_portInUse(t *testing.T) {
	o := run(t)
	cfg := metrics.Config{
		Listen: strings.TrimPrefix(o.URL(), "http://"), Metrics: o.metrics, Logger: testlog.New(t),
		Live: func() error { return nil }, Ready: func() []metrics.Reason { return nil },
	}
	_, err := metrics.New(cfg)
	if err == nil || !strings.Contains(err.Error(), cfg.Listen) || !strings.Contains(err.Error(), "ops.listen") {
		t.Errorf("got %v, want an error that names the address and the setting", err)
	}
	if err := o.stop(); err != nil {
		t.Fatal(err)
	}
	second, err := metrics.New(cfg)
	if err != nil {
		t.Fatalf("the port is free again: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestServer_stopsDuringARequest(t *testing.T) {
	o := run(t)
	finished := make(chan struct{})
	started := make(chan struct{})
	go func() {
		defer close(finished)
		close(started)
		res, err := http.Get(o.URL() + "/debug/pprof/trace?seconds=1")
		if err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}()
	<-started
	if err := o.stop(); err != nil {
		t.Error(err)
	}
	<-finished
}

func TestServer_stopsWithUnusedConnections(t *testing.T) {
	o := run(t)
	unused, err := net.Dial("tcp", strings.TrimPrefix(o.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	o.request(t, http.MethodGet, "/livez", "") // accepted after it
	begun := time.Now()
	if err := o.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 1500*time.Millisecond { // Shutdown alone takes 2 s
		t.Errorf("the server waits %s for a connection that nobody uses", took)
	}
}
