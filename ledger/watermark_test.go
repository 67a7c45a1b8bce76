package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

func certOf(height uint64) *ledger.ExecCert {
	return &ledger.ExecCert{ExecResult: ledger.ExecResult{Height: height}}
}

func TestPayload_CheckWatermark(t *testing.T) {
	const height, parent, dmax = 20, 10, 8
	some := []common.Hash{{1}}
	for _, tt := range []struct {
		name string
		p    ledger.Payload
		text string // of the error, "" for none
	}{
		{"the parent's", ledger.Payload{Watermark: 10}, ""},
		{"higher with its certificate", ledger.Payload{Watermark: 12, Cert: certOf(12)}, ""},
		{"as high as can be", ledger.Payload{Watermark: 19, Cert: certOf(19), TxHashes: some}, ""},
		{"below the parent's", ledger.Payload{Watermark: 9}, "below the parent's"},
		{"below the parent's with its certificate", ledger.Payload{Watermark: 9, Cert: certOf(9)}, "below the parent's"},
		{"of the block itself", ledger.Payload{Watermark: 20, Cert: certOf(20)}, "in a block of height"},
		{"a certificate too many", ledger.Payload{Watermark: 10, Cert: certOf(10)}, "for the parent's"},
		{"higher without certificate", ledger.Payload{Watermark: 12}, "without its certificate"},
		{"higher with another certificate", ledger.Payload{Watermark: 13, Cert: certOf(12)}, "without its certificate"},
		{"transactions at the limit", ledger.Payload{Watermark: 12, Cert: certOf(12), TxHashes: some}, ""},
		{"transactions beyond the limit", ledger.Payload{Watermark: 11, Cert: certOf(11), TxHashes: some}, "9 blocks ahead"},
		{"no transactions beyond the limit", ledger.Payload{Watermark: 11, Cert: certOf(11)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.p.CheckWatermark(height, parent, dmax)
			if tt.text == "" && err != nil || tt.text != "" && (!errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), tt.text)) {
				t.Errorf("got %v, want %q", err, tt.text)
			}
		})
	}
}

func TestEmptyPayload_takesTheNewestThatFits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		newest *ledger.ExecCert
		want   uint64
	}{
		{"none", nil, 10},
		{"lower", certOf(9), 10},
		{"the same", certOf(10), 10},
		{"newer", certOf(12), 12},
		{"of the parent", certOf(19), 19},
		{"of the height itself", certOf(20), 10},
	} {
		p := ledger.EmptyPayload(20, 10, tt.newest)
		if p.Watermark != tt.want || (p.Cert != nil) != (tt.want != 10) {
			t.Errorf("%s: watermark %d with %v", tt.name, p.Watermark, p.Cert)
		}
		if err := p.CheckWatermark(20, 10, 64); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestIncident18_transactions_stopAtDmax counts the blocks with transactions that can follow a certified
// one without a new certificate, when every proposer orders as long as it may.
func TestIncident18_transactions_stopAtDmax(t *testing.T) {
	const dmax, certified = 5, 40
	ordered := 0
	for height := uint64(certified + 1); height < certified+100; height++ {
		p := ledger.EmptyPayload(height, certified, nil)
		if ledger.MayOrder(height, p.Watermark, dmax) {
			p.TxHashes = append(p.TxHashes, common.Hash{1})
			ordered++
		}
		if err := p.CheckWatermark(height, certified, dmax); err != nil {
			t.Fatalf("block %d: %v", height, err)
		}
	}
	if ordered != dmax {
		t.Errorf("%d blocks with transactions follow the certified one, want %d", ordered, dmax)
	}
	if ledger.MayOrder(5, 6, dmax) {
		t.Error("a watermark above the block orders")
	}
}

func TestLateCheckpoint(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		tip, parent, proposed uint64
		want                  uint64
	}{
		{"genesis", 1000, 0, 0, 0},
		{"the tip is one", 1050, 1049, 0, 0},
		{"the tip is none", 1049, 1010, 0, 1050},
		{"one is on its way", 1049, 1010, 1050, 0},
		{"what is on its way is none", 1020, 1010, 1049, 1050},
	} {
		if got := ledger.LateCheckpoint(tt.tip, tt.parent, tt.proposed); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
