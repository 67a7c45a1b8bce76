package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tercet-chain/tercet/testframework/chaos"
)

// answering is a node that gives a fixed result for every call.
func answering(t *testing.T, name, result string) *chaos.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		type question struct{ ID int }
		var raw json.RawMessage
		var one question
		var several []question
		if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer := func(q question) string { return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":%s}`, q.ID, result) }
		if json.Unmarshal(raw, &several) != nil {
			if err := json.Unmarshal(raw, &one); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			_, _ = fmt.Fprint(w, answer(one)) // the client sees what is missing
			return
		}
		var answers []string
		for _, q := range several {
			answers = append(answers, answer(q))
		}
		_, _ = fmt.Fprintf(w, "[%s]", strings.Join(answers, ",")) // likewise
	}))
	t.Cleanup(server.Close)
	c := chaos.NewClient(name, server.URL)
	t.Cleanup(c.Close)
	return c
}

// The checks see a node that says anything else than another.
func TestSame_whenOneNodeDiffers(t *testing.T) {
	zeros := func(bytes int) string { return strings.Repeat("00", bytes) }
	log := func(data string) string {
		return `{"address":"0x` + zeros(20) + `","topics":[],"data":"` + data + `","transactionHash":"0x` + zeros(32) + `"}`
	}
	receipt := func(data string) string {
		return `{"transactionHash":"0x` + zeros(32) + `","cumulativeGasUsed":"0x1","gasUsed":"0x1","status":"0x1","logsBloom":"0x` + zeros(256) + `","logs":[` + log(data) + `]}`
	}
	for _, tt := range []struct {
		name       string
		good, evil string
		check      func(ctx context.Context, clients ...*chaos.Client) (count int, err error)
		want       string
	}{
		{"receipts", "[" + receipt("0x01") + "]", "[" + receipt("0x02") + "]", func(ctx context.Context, clients ...*chaos.Client) (int, error) {
			all, err := chaos.SameReceipts(ctx, 7, 7, clients...)
			return len(all), err
		}, "the receipts of block 7 differ"},
		{"logs", "[" + log("0x01") + "]", "[]", func(ctx context.Context, clients ...*chaos.Client) (int, error) {
			all, err := chaos.SameLogs(ctx, 7, 7, nil, clients...)
			return len(all), err
		}, "the logs from block 7 on differ"},
		{"calls", `"0x01"`, `"0x02"`, func(ctx context.Context, clients ...*chaos.Client) (int, error) {
			all, err := chaos.SameCalls(ctx, make([]chaos.Question, 1), clients...)
			return len(all), err
		}, "differs"},
		{"receipts that clients saw", receipt("0x01"), receipt("0x02"), func(ctx context.Context, clients ...*chaos.Client) (int, error) {
			seen, err := clients[0].Receipt(ctx, [32]byte{})
			if err != nil {
				return 0, err
			}
			return 1, chaos.Kept(ctx, []*chaos.Receipt{seen}, clients...)
		}, "changed a receipt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			honest, other, liar := answering(t, "honest", tt.good), answering(t, "other", tt.good), answering(t, "liar", tt.evil)
			if count, err := tt.check(t.Context(), honest, other); count != 1 || err != nil {
				t.Errorf("two that agree: got %d and %v, want 1 and no error", count, err)
			}
			_, err := tt.check(t.Context(), honest, other, liar)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "liar") {
				t.Errorf("one that differs: got %v, want %q of the liar", err, tt.want)
			}
		})
	}
}
