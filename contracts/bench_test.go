package contracts_test

import (
	"fmt"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/vm"
)

// BenchmarkExamples_call executes one call a round on an unchanging state: a message through ledger/exec, without
// signature, block and roots.
func BenchmarkExamples_call(b *testing.B) {
	token, admin, alice, _ := newToken(b)
	must(b, token.send(b, admin, "transfer", alice, 1))
	notary, _, _, bob := newNotary(b)
	m := newMarket(b)
	for _, call := range []struct {
		contract deployed
		by       person
		method   string
		args     []any
	}{
		{token, admin, "transfer", []any{alice, 1}},
		{token, admin, "balanceOf", []any{alice}},
		{notary, bob, "submit", []any{common.Hash{1}, "some words about it"}},
		{m.receivables, m.supplier, "draft", []any{"2026-001", m.buyer, 500, m.receivables.time() + 1000}},
	} {
		data := call.contract.pack(b, call.method, call.args...)
		b.Run(fmt.Sprintf("contract=%s/method=%s", call.contract.names[call.contract.address], call.method), func(b *testing.B) {
			var gas uint64
			for b.Loop() {
				res := call.contract.ask(b, call.by, &call.contract.address, data, 0)
				if res.Outcome != vm.Success {
					b.Fatal(call.contract.reason(res))
				}
				gas = res.GasUsed
			}
			b.ReportMetric(float64(gas), "gas")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
