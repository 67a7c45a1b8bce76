package ledger_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/tercet-chain/tercet/ledger"
)

func testGenesis() *ledger.Genesis {
	return ledger.DefaultGenesis(ledger.TestnetChainID,
		[]ledger.Validator{{Address: common.HexToAddress("0x02"), PeerID: "16Uiu2HAmA"}, {Address: common.HexToAddress("0x01"), PeerID: "16Uiu2HAmB"}},
		[]ledger.Allocation{{Address: common.HexToAddress("0x0b"), Balance: uint256.NewInt(7)}, {Address: common.HexToAddress("0x0a"), Balance: uint256.NewInt(1e18)}},
		1_700_000_000_123)
}

func TestGenesis_EncodeJSON_parsesToTheSame(t *testing.T) {
	g := testGenesis()
	parsed, err := ledger.ParseGenesis(g.EncodeJSON())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := parsed.Commitment(), g.Commitment(); got != want {
		t.Errorf("commitment %s, want %s\n%s", got, want, g.EncodeJSON())
	}
	if got, want := string(parsed.EncodeJSON()), string(g.EncodeJSON()); got != want {
		t.Errorf("file\n%s\nwant\n%s", got, want)
	}
}
