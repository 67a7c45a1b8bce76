package rpc_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tercet-chain/tercet/node/rpc"
)

// A node whose state differs from a quorum's must not answer with it.
func TestServer_quarantined(t *testing.T) {
	var quarantined atomic.Bool
	c := newChain(t, func(_ *chain, cfg *rpc.Config) {
		cfg.Quarantined = func() error {
			if quarantined.Load() {
				return errors.New("do not trust this node")
			}
			return nil
		}
	})
	from := addr(alice)
	calls := map[string][]any{
		"eth_getBalance":          {from, "latest"},
		"eth_getTransactionCount": {from, "latest"},
		"eth_call":                {map[string]any{"from": from, "to": from}, "latest"},
		"tercet_getProof":         {from, "earliest"},
	}
	for method, params := range calls {
		c.result(method, params...)
	}
	quarantined.Store(true)
	for method, params := range calls {
		if a := c.call(method, params...); a.Error == nil || !strings.Contains(a.Error.Message, "do not trust") {
			t.Errorf("%s answers %s, want a refusal", method, a.Result)
		}
	}
	c.result("tercet_status") // what an operator asks still works
}
