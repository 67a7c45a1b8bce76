package p2p_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/p2p"
)

var ours = p2p.Handshake{Network: "00112233aabbccdd", Version: 1, Software: "tercet/0.1"}

func TestEncodeHandshake_golden(t *testing.T) {
	const want = "001edd9030303131323233336161626263636464018a7465726365742f302e31"
	if got := hex.EncodeToString(p2p.EncodeHandshake(ours)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEncodeHandshake_goldenWithInstance(t *testing.T) {
	const want = "002dec9030303131323233336161626263636464018a7465726365742f302e31880102030405060708820908820400"
	h := ours
	h.Instance, h.Other, h.OtherAgo = 0x0102030405060708, 0x0908, 1024
	encoded := p2p.EncodeHandshake(h)
	if got := hex.EncodeToString(encoded); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, err := p2p.ReadHandshake(bytes.NewReader(encoded)); err != nil || got.Instance != h.Instance || got.Other != h.Other || got.OtherAgo != h.OtherAgo {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReadHandshake_readsNoByteTooMany(t *testing.T) {
	r := bytes.NewReader(append(p2p.EncodeHandshake(ours), "rest"...))
	got, err := p2p.ReadHandshake(r)
	if err != nil || got.Network != ours.Network || got.Version != ours.Version || got.Software != ours.Software {
		t.Fatalf("got %+v, %v", got, err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "rest" {
		t.Errorf("left %q", rest)
	}
}

// A later version must be recognized as that, not as garbage.
func TestReadHandshake_skipsFieldsOfLaterVersions(t *testing.T) {
	later := ours
	later.Version = 2
	later.Instance, later.Other, later.OtherAgo = 1, 2, 3 // which are before them
	later.Later = []rlp.RawValue{{0x80}, {0xc1, 0x01}}
	got, err := p2p.ReadHandshake(bytes.NewReader(p2p.EncodeHandshake(later)))
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Check(ours); !errors.Is(err, p2p.ErrVersion) {
		t.Errorf("got %v, want ErrVersion", err)
	}
}

func TestReadHandshake_refusesGarbage(t *testing.T) {
	for _, test := range []struct {
		name, bytes string
		want        error
	}{
		{"nothing", "", io.EOF},
		{"cut", "\x00\x05abc", io.ErrUnexpectedEOF},
		{"too long", "\xff\xff", p2p.ErrInvalid},
		{"not RLP", "\x00\x03abc", p2p.ErrInvalid},
		{"no network", "\x00\x04\xc3\x80\x01\x80", p2p.ErrInvalid},
		{"network in capitals", "\x00\x04\xc3\x41\x01\x80", p2p.ErrInvalid},
		{"software with a line break", "\x00\x04\xc3\x61\x01\x0a", p2p.ErrInvalid},
		{"bytes after the list", "\x00\x05\xc3\x61\x01\x61\x61", p2p.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			if h, err := p2p.ReadHandshake(strings.NewReader(test.bytes)); !errors.Is(err, test.want) {
				t.Errorf("got %+v, %v; want %v", h, err, test.want)
			}
		})
	}
}

func TestHandshake_Check_tellsNetworkFromVersion(t *testing.T) {
	if err := ours.Check(ours); err != nil {
		t.Errorf("same: %v", err)
	}
	other := ours
	other.Software = "tercet/9.9"
	if err := other.Check(ours); err != nil {
		t.Errorf("other software: %v", err)
	}
	other.Version = 7
	if err := other.Check(ours); !errors.Is(err, p2p.ErrVersion) || !strings.Contains(err.Error(), "tercet/9.9") {
		t.Errorf("other version: %v", err)
	}
	other.Network = "ffff"
	if err := other.Check(ours); !errors.Is(err, p2p.ErrNetwork) || errors.Is(err, p2p.ErrVersion) {
		t.Errorf("other network and version: %v", err)
	}
}

func FuzzReadHandshake(f *testing.F) {
	f.Add(p2p.EncodeHandshake(ours))
	f.Add([]byte("\x00\x04\xc3\x61\x01\x61"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := p2p.ReadHandshake(r)
		if read := len(b) - r.Len(); read > 2+1<<10 {
			t.Errorf("%d bytes read", read)
		}
		if err != nil {
			if !errors.Is(err, p2p.ErrInvalid) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v, neither the reader's nor ErrInvalid", err)
			}
			return
		}
		if again := p2p.EncodeHandshake(h); !bytes.Equal(again, b[:len(again)]) {
			t.Errorf("%x is read as %+v and written as %x", b, h, again)
		}
	})
}
