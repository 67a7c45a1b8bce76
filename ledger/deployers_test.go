package ledger_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/ledger"
)

func TestMayDeploy(t *testing.T) {
	list := []common.Address{{1}, {2}, {2, 1}}
	for _, tt := range []struct {
		name   string
		value  []byte
		origin common.Address
		want   bool
	}{
		{"no list", nil, common.Address{9}, true},
		{"first", ledger.EncodeDeployers(list), common.Address{1}, true},
		{"last", ledger.EncodeDeployers(list), common.Address{2, 1}, true},
		{"between", ledger.EncodeDeployers(list), common.Address{1, 1}, false},
		{"beyond", ledger.EncodeDeployers(list), common.Address{3}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ledger.MayDeploy(tt.value, tt.origin); got != tt.want || err != nil {
				t.Errorf("%t, %v, want %t", got, err, tt.want)
			}
		})
	}
}

func TestDecodeDeployers_refuses(t *testing.T) {
	many := make([]common.Address, 1025)
	for i := range many {
		binary.BigEndian.PutUint32(many[i][:], uint32(i))
	}
	for name, value := range map[string][]byte{
		"nothing":   nil,
		"cut short": ledger.EncodeDeployers([]common.Address{{1}, {2}})[:39],
		"unsorted":  ledger.EncodeDeployers([]common.Address{{2}, {1}}),
		"twice":     ledger.EncodeDeployers([]common.Address{{1}, {1}}),
		"too many":  ledger.EncodeDeployers(many),
	} {
		if list, err := ledger.DecodeDeployers(value); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	list, err := ledger.DecodeDeployers(ledger.EncodeDeployers(many[:1024]))
	if err != nil || !slices.Equal(list, many[:1024]) {
		t.Errorf("%d addresses, %v", len(list), err)
	}
}

func TestGenesis_Deployers(t *testing.T) {
	g := testGenesis()
	g.Deployers = []common.Address{{2}, {1}}
	parsed, err := ledger.ParseGenesis(g.EncodeJSON())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(parsed.Changes(), func(c ledger.Change) bool { return bytes.Equal(c.Key, ledger.DeployersKey()) })
	if i < 0 || !bytes.Equal(parsed.Changes()[i].Value, ledger.EncodeDeployers([]common.Address{{1}, {2}})) {
		t.Errorf("the list of deployers is change %d of block 0", i)
	}
	if bytes.Contains(testGenesis().EncodeJSON(), []byte("deployers")) {
		t.Error("the file of a chain on which everybody may deploy names deployers")
	}
	for _, tt := range []struct {
		name string
		list []common.Address
		want string
	}{
		{"nobody", []common.Address{}, "nobody could ever create a contract"},
		{"twice", []common.Address{{1}, {1}}, "twice: remove one"},
		{"unsorted", []common.Address{{2}, {1}}, "not sorted: move"},
		{"too many", make([]common.Address, 1025), "keep at most 1024"},
	} {
		g.Deployers = tt.list
		if err := g.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func FuzzDecodeDeployers(f *testing.F) {
	f.Add([]byte{})
	f.Add(ledger.EncodeDeployers([]common.Address{{1}, {2}}))
	f.Add(ledger.EncodeDeployers([]common.Address{{2}, {1}}))
	f.Fuzz(func(t *testing.T, value []byte) {
		list, err := ledger.DecodeDeployers(value)
		if err != nil {
			return
		}
		if !bytes.Equal(ledger.EncodeDeployers(list), value) {
			t.Fatalf("%x decodes to %v", value, list)
		}
		for _, a := range list {
			if ok, err := ledger.MayDeploy(value, a); !ok || err != nil {
				t.Fatalf("%s may not deploy: %v", a, err)
			}
		}
	})
}
