package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/rogpeppe/go-internal/testscript"
)

// answers serves JSON-RPC with the results in a file, by method, and puts its URL into $URL: for answers
// that no well-behaved network gives.
func answers(ts *testscript.TestScript, _ bool, args []string) {
	var results map[string]json.RawMessage
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &results))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question struct{ Method string }
		raw, _ := io.ReadAll(r.Body) // an empty question has no answer
		_ = json.Unmarshal(raw, &question)
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "result": results[question.Method]})
	}))
	ts.Defer(s.Close)
	ts.Setenv("URL", s.URL)
}
