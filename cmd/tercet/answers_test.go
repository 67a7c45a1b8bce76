package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// answers serves JSON-RPC with the results in a file, by method, and puts its URL into $URL: for answers
// that no well-behaved network gives. {"error": …} is an error. The last question of each method is written into
// the directory asked.
func answers(ts *testscript.TestScript, _ bool, args []string) {
	var results map[string]json.RawMessage
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &results))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question struct {
			Method string
			Params json.RawMessage
		}
		raw, _ := io.ReadAll(r.Body) // an empty question has no answer
		_ = json.Unmarshal(raw, &question)
		_ = os.WriteFile(filepath.Join(ts.MkAbs("asked"), filepath.Base(question.Method)), append(question.Params, '\n'), 0o600) // if the script wants it
		result := results[question.Method]
		var failed struct{ Error json.RawMessage }
		if json.Unmarshal(result, &failed) == nil && failed.Error != nil {
			_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "error": failed.Error})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "result": result})
	}))
	ts.Defer(s.Close)
	ts.Setenv("URL", s.URL)
}

// ask writes what a running node answers into a file: ask URL METHOD PARAMS FILE.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, args[1], args[2])
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, args[0], strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), raw, 0o600))
	if failed := bytes.Contains(raw, []byte(`"error"`)); failed != neg {
		ts.Fatalf("%s: %s", args[1], raw)
	}
}
