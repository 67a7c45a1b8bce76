package rpc_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/tercet-chain/tercet/node/rpc"
)

func TestServer_evidence(t *testing.T) {
	c := newChain(t, nil)
	if got := c.result("tercet_evidence"); got != "[]" {
		t.Errorf("got %s, want an empty list", got)
	}
	if got := c.fields("tercet_status")["evidence"]; got != 0.0 {
		t.Errorf("got %v in the status, want 0", got)
	}
	c.evidence = []rpc.Evidence{{
		Validator: addr(validator), Epoch: 0, View: 7, Kinds: []string{"NOTARIZE", "NOTARIZE"},
		Hashes: []common.Hash{{1}, {2}}, Votes: []hexutil.Bytes{{2, 0xc0}, {2, 0xc1}}, FirstSeen: genesisMs,
	}}
	want := `[{"validator":"` + hexutil.Encode(addr(validator).Bytes()) + `","epoch":0,"view":7,"kinds":["NOTARIZE","NOTARIZE"],` +
		`"hashes":["` + common.Hash{1}.Hex() + `","` + common.Hash{2}.Hex() + `"],"votes":["0x02c0","0x02c1"],"firstSeen":1700000000000}]`
	if got := c.result("tercet_evidence"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := c.fields("tercet_status")["evidence"]; got != 1.0 {
		t.Errorf("got %v in the status, want 1", got)
	}
}
