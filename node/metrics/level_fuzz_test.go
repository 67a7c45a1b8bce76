package metrics_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/node/metrics"
)

// FuzzServer_logLevel: a level in the query or in the body. What is not one changes nothing.
func FuzzServer_logLevel(f *testing.F) {
	level := new(slog.LevelVar)
	server, err := metrics.New(metrics.Config{
		Listen: "127.0.0.1:0", Metrics: metrics.NewMetrics(metrics.Build{}), Level: level, Logger: slog.New(slog.DiscardHandler),
		Live: func() error { return nil }, Ready: func() []metrics.Reason { return nil },
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { server.Close() })
	for _, body := range []string{"", "debug\n", `{"level":"WARN"}`, "info+3", "error-9223372036854775808", "{", "{}", `{"level":5}`, strings.Repeat("x", 300), "warn\x00"} {
		f.Add("", body)
		f.Add(body, "")
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		level.Set(slog.LevelWarn)
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/loglevel?level="+url.QueryEscape(query), strings.NewReader(body))
		w := httptest.NewRecorder()
		server.Handler().ServeHTTP(w, r)
		var answer struct {
			Level *slog.Level
			Error string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%q is answered with %q", body, w.Body)
		}
		switch {
		case w.Code == http.StatusOK && answer.Level != nil && *answer.Level == level.Level():
		case w.Code == http.StatusBadRequest && answer.Error != "" && level.Level() == slog.LevelWarn:
		default:
			t.Fatalf("%q and %q are answered with %d %s, the level is %s", query, body, w.Code, w.Body, level)
		}
	})
}
