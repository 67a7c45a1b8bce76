package rpc_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/tercet-chain/tercet/node/rpc"
)

func randomLogs(n int) []*types.Log {
	r := rand.New(rand.NewPCG(1, 2))
	bytes := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	var logs []*types.Log
	for range n {
		l := &types.Log{
			Address: common.BytesToAddress(bytes(20)), Topics: []common.Hash{}, Data: bytes(r.IntN(200)), BlockNumber: r.Uint64() >> r.IntN(64),
			TxHash: common.BytesToHash(bytes(32)), TxIndex: uint(r.IntN(500)), BlockHash: common.BytesToHash(bytes(32)),
			BlockTimestamp: r.Uint64() >> 30, Index: uint(r.IntN(3)), Removed: r.IntN(2) == 0,
		}
		for range r.IntN(5) {
			l.Topics = append(l.Topics, common.BytesToHash(bytes(32)))
		}
		logs = append(logs, l)
	}
	return logs
}

// Logs are written as go-ethereum writes them, to the byte.
func TestLogList_MarshalJSON(t *testing.T) {
	for _, n := range []int{0, 1, 300} {
		logs := randomLogs(n)
		if logs == nil {
			logs = []*types.Log{}
		}
		got, err := json.Marshal(rpc.LogList(logs))
		must(t, err)
		want, err := json.Marshal(logs)
		must(t, err)
		if string(got) != string(want) {
			t.Errorf("%d logs: got %s, want %s", n, got, want)
		}
	}
}

func BenchmarkLogList_MarshalJSON(b *testing.B) {
	logs := randomLogs(1000)
	for name, v := range map[string]any{"ours": rpc.LogList(logs), "go-ethereum": logs} {
		b.Run("by="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				raw, err := json.Marshal(v)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(raw)))
			}
		})
	}
}
