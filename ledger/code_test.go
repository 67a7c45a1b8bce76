package ledger_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tercet-chain/tercet/ledger"
)

func TestActivation_encoding(t *testing.T) {
	a := ledger.Activation{Version: 1, Pages: 17, ModuleBytes: 131_072, Gas: 1_234_567}
	encoded := ledger.EncodeActivation(a)
	golden(t, "activation", encoded)
	if back, err := ledger.DecodeActivation(encoded); err != nil || back != a {
		t.Errorf("decodes to %+v, %v; want %+v", back, err, a)
	}
}

func TestDecodeActivation_refusesOtherEncodings(t *testing.T) {
	good := ledger.EncodeActivation(ledger.Activation{Version: 1, ModuleBytes: 1})
	for name, value := range map[string][]byte{
		"nothing":    nil,
		"short":      good[:15],
		"long":       append(bytes.Clone(good), 0),
		"no version": append([]byte{0, 0}, good[2:]...),
		"no module":  append(append(bytes.Clone(good[:4]), 0, 0, 0, 0), good[8:]...),
	} {
		if a, err := ledger.DecodeActivation(value); !errors.Is(err, ledger.ErrInvalid) || a != (ledger.Activation{}) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func FuzzDecodeActivation(f *testing.F) {
	f.Add(ledger.EncodeActivation(ledger.Activation{Version: 1, ModuleBytes: 1}))
	f.Add(make([]byte, 16))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ledger.DecodeActivation(data)
		if err != nil && !errors.Is(err, ledger.ErrInvalid) {
			t.Fatal(err)
		}
		if err == nil && !bytes.Equal(ledger.EncodeActivation(a), data) {
			t.Fatalf("%x decodes and encodes to %x", data, ledger.EncodeActivation(a))
		}
	})
}
