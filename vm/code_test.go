package vm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/tercet-chain/tercet/vm"
	"github.com/tercet-chain/tercet/vm/meter"
)

func compress(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := brotli.NewWriterLevel(&buf, brotli.BestCompression)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// stylus is a deployment as cargo stylus makes it.
func stylus(code []byte) []byte {
	size := make([]byte, 32)
	binary.BigEndian.PutUint32(size[28:], uint32(len(code)))
	return slices.Concat([]byte{0x7f}, size, []byte{0x80, 0x60, 0x2b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3, 0x00}, code)
}

func frame(packed []byte) []byte {
	return slices.Concat([]byte("\xef\x00W\x01"), binary.BigEndian.AppendUint32(nil, uint32(len(packed))), packed)
}

func TestParseCreation(t *testing.T) {
	packed := compress(t, counter)
	stored := slices.Concat([]byte{0xef, 0xf0, 0, 0}, packed)
	args := bytes.Repeat([]byte{7}, 32)
	huge := make([]byte, vm.MaxCreation+1)
	copy(huge, "\x00asm")
	solidity := []byte{0x60, 0x80, 0x60, 0x40, 0x52, 0x34, 0x80, 0x15}
	for _, tt := range []struct {
		name       string
		data       []byte
		code, args []byte
		err        error
	}{
		{"raw", counter, counter, nil, nil},
		{"framed", frame(packed), stored, []byte{}, nil},
		{"framed with arguments", slices.Concat(frame(packed), args), stored, args, nil},
		{"Stylus", stylus(stored), stored, []byte{}, nil},
		{"Stylus with arguments", slices.Concat(stylus(stored), args), stored, args, nil},
		{"nothing", nil, nil, nil, vm.ErrEVM},
		{"Solidity", solidity, nil, nil, vm.ErrEVM},
		{"Solidity behind the Stylus prelude", stylus(solidity), nil, nil, vm.ErrEVM},
		{"EOF", []byte{0xef, 0x00, 0x01, 0x01}, nil, nil, vm.ErrEVM},
		{"a frame of another version", []byte("\xef\x00W\x02\x00\x00\x00\x00"), nil, nil, vm.ErrFrame},
		{"with a dictionary", stylus([]byte{0xef, 0xf0, 0x00, 0x01, 1, 2}), nil, nil, vm.ErrFrame},
		{"a frame cut off in its header", frame(packed)[:7], nil, nil, vm.ErrTruncated},
		{"a frame cut off", frame(packed)[:20], nil, nil, vm.ErrTruncated},
		{"a frame of 4 GiB", []byte("\xef\x00W\x01\xff\xff\xff\xffabc"), nil, nil, vm.ErrTruncated},
		{"Stylus cut off", stylus(stored)[:60], nil, nil, vm.ErrTruncated},
		{"a Stylus length of 256 bits", append(slices.Concat([]byte{0x7f}, bytes.Repeat([]byte{0xff}, 32)), stylus(stored)[33:]...), nil, nil, vm.ErrTruncated},
		{"huge", huge, nil, nil, vm.ErrTooLarge},
		{"a huge module", huge[:vm.MaxCode+1], nil, nil, vm.ErrTooLarge},
		{"a huge frame", frame(make([]byte, vm.MaxCode)), nil, nil, vm.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, args, err := vm.ParseCreation(tt.data)
			if !errors.Is(err, tt.err) || !bytes.Equal(code, tt.code) || !bytes.Equal(args, tt.args) {
				t.Errorf("got %x, %x, %v", code, args, err)
			}
		})
	}
}

func TestParseCreation_errorsSayWhatToDo(t *testing.T) {
	for _, err := range []error{vm.ErrEVM, vm.ErrTruncated, vm.ErrFrame, vm.ErrTooLarge, vm.ErrBrotli, vm.ErrWindow} {
		if !slices.ContainsFunc([]string{"compile", "deploy", "build", "compress"}, func(verb string) bool { return strings.Contains(err.Error(), verb) }) {
			t.Errorf("%q does not say what to do", err)
		}
	}
}

func TestWasm(t *testing.T) {
	stored := func(packed []byte) []byte { return slices.Concat([]byte{0xef, 0xf0, 0, 0}, packed) }
	packed := compress(t, counter)
	for _, tt := range []struct {
		name string
		code []byte
		want []byte
		err  error
	}{
		{"raw", counter, counter, nil},
		{"packed", stored(packed), counter, nil},
		{"the largest", stored(compress(t, make([]byte, meter.MaxModuleBytes))), make([]byte, meter.MaxModuleBytes), nil},
		{"one byte more", stored(compress(t, make([]byte, meter.MaxModuleBytes+1))), nil, vm.ErrTooLarge},
		{"a bomb", stored(compress(t, make([]byte, 8<<20))), nil, vm.ErrTooLarge},
		{"cut off", stored(packed[:len(packed)-1]), nil, vm.ErrBrotli},
		{"empty", stored(nil), nil, vm.ErrBrotli},
		{"a window of 8 MiB", stored([]byte{0b1101}), nil, vm.ErrWindow},
		// An uncompressed block of 16 MiB, of which nothing is there.
		{"a window of 16 MiB", stored([]byte{0b1100_1111, 0xff, 0xff, 0xff, 0}), nil, vm.ErrWindow},
		{"garbage", stored([]byte("garbage")), nil, vm.ErrBrotli},
		{"with a byte behind", stored(append(bytes.Clone(packed), 0)), nil, vm.ErrBrotli},
		{"with another stream behind", stored(slices.Concat(packed, packed)), nil, vm.ErrBrotli},
		{"incompressible, with a byte at a buffer's end behind", stored(padded(t)), nil, vm.ErrBrotli},
		{"too long to look at", make([]byte, vm.MaxCode+1), nil, vm.ErrTooLarge},
		{"the EVM's", []byte{0x60, 0x80}, nil, vm.ErrEVM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := vm.Wasm(tt.code)
			if !errors.Is(err, tt.err) || !bytes.Equal(got, tt.want) {
				t.Errorf("got %d bytes, %v, want %d, %v", len(got), err, len(tt.want), tt.err)
			}
		})
	}
}

// padded is a stream whose end falls together with that of the reader's buffer of 32 KiB, and one more byte.
func padded(t testing.TB) []byte {
	t.Helper()
	for n := 32<<10 - 64; n < 32<<10; n++ {
		random := make([]byte, n)
		x := uint32(1)
		for i := range random {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
			random[i] = byte(x)
		}
		var buf bytes.Buffer
		w := brotli.NewWriterLevel(&buf, brotli.BestSpeed)
		if _, err := w.Write(random); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if buf.Len() == 32<<10 {
			return append(buf.Bytes(), 0)
		}
	}
	t.Fatal("no stream of 32 KiB")
	return nil
}

func TestPack_roundTrip(t *testing.T) {
	for _, wasm := range [][]byte{counter, erc20, puppet, loop} {
		packed, err := vm.Pack(wasm)
		if err != nil {
			t.Fatal(err)
		}
		code, args, err := vm.ParseCreation(append(packed, "arguments"...))
		if err != nil || string(args) != "arguments" {
			t.Fatalf("got %q, %v", args, err)
		}
		if got, err := vm.Wasm(code); err != nil || !bytes.Equal(got, wasm) {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(wasm))
		}
	}
	if _, err := vm.Pack(make([]byte, meter.MaxModuleBytes+1)); !errors.Is(err, vm.ErrTooLarge) {
		t.Errorf("got %v, want too large", err)
	}
}

func TestActivate(t *testing.T) {
	a, err := vm.Activate(puppet)
	if err != nil || a.Version != meter.Current || a.Gas == 0 || a.Pages != 4 || !a.HasConstructor {
		t.Errorf("got %+v, %v", a, err)
	}
	if a, err := vm.Activate(counter); err != nil || a.HasConstructor || a.Pages != 1 {
		t.Errorf("got %+v, %v", a, err)
	}
	_, err = vm.Activate([]byte("\x00asm\x02\x00\x00\x00"))
	if refused := (*meter.RefusedError)(nil); !errors.As(err, &refused) {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := vm.Activate([]byte{0xef, 0xf0, 0, 0, 1}); !errors.Is(err, vm.ErrBrotli) {
		t.Errorf("got %v, want %v", err, vm.ErrBrotli)
	}
}

func FuzzParseCreation(f *testing.F) {
	packed := compress(f, counter)
	f.Add(counter)
	f.Add(frame(packed))
	f.Add(stylus(slices.Concat([]byte{0xef, 0xf0, 0, 0}, packed)))
	f.Fuzz(func(t *testing.T, data []byte) {
		code, args, err := vm.ParseCreation(data)
		if err != nil {
			return
		}
		if len(code) > vm.MaxCode || len(code)+len(args) > len(data)+4 {
			t.Errorf("%d bytes became %d of code and %d of arguments", len(data), len(code), len(args))
		}
		wasm, err := vm.Wasm(code)
		if err == nil && len(wasm) > vm.MaxCode {
			t.Errorf("got %d bytes of WebAssembly", len(wasm))
		}
	})
}
