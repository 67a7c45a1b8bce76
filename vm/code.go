package vm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/tercet-chain/tercet/vm/meter"
)

// Limits of deployed bytes.
const (
	// MaxCode is the size of stored code: a module that does not compress at all, and its header.
	MaxCode = meter.MaxModuleBytes + 1<<10
	// MaxCreation is the size of what a creation carries: code in its frame, and constructor arguments.
	MaxCreation = MaxCode + 64<<10
)

// What can be wrong with deployed bytes. Each error says what to do; a module itself is refused with a
// *meter.RefusedError.
var (
	// ErrEVM is bytecode of the EVM, or anything else that begins like no contract.
	ErrEVM = errors.New("this is not a WebAssembly contract: EVM bytecode does not run here; compile the contract to WebAssembly and deploy the .wasm file, a frame EF 00 57, or what cargo stylus deploys")
	// ErrTruncated is a frame that ends before its code does.
	ErrTruncated = errors.New("the code in the creation is truncated: deploy the artifact's bytecode as it was built")
	// ErrFrame is a frame of a version, or a compression, that is not known here.
	ErrFrame = errors.New("the frame of the code is not known here: deploy the .wasm file as it is, or in a frame EF 00 57 01; Stylus code begins with EF F0 00 00, compressed without a dictionary")
	// ErrTooLarge is code beyond its limit.
	ErrTooLarge = fmt.Errorf("the code is too large: at most %d bytes of WebAssembly are accepted; build without debug information and optimise for size", meter.MaxModuleBytes)
	// ErrWindow is code that would take 8 MiB or more to decompress.
	ErrWindow = errors.New("the code is compressed with too large a window: compress it with brotli --lgwin=22 or less")
	// ErrBrotli is code that does not decompress, or has bytes after its end.
	ErrBrotli = errors.New("the code is not one whole brotli stream: compress the .wasm file with brotli, without a dictionary, and append nothing but constructor arguments")
)

// Headers. Code is stored as WebAssembly, or as stylusHeader and brotli.
const (
	wasmHeader   = "\x00asm"
	stylusHeader = "\xef\xf0\x00\x00"
	frameHeader  = "\xef\x00W"
	frameVersion = 1
	frameBytes   = len(frameHeader) + 1 + 4

	// A Stylus deployment is this EVM program, which returns what follows it. It is recognised, not run.
	stylusPush    = "\x7f"
	stylusReturn  = "\x80\x60\x2b\x60\x00\x39\x60\x00\xf3\x00"
	stylusPrelude = len(stylusPush) + 32 + len(stylusReturn)
)

// ParseCreation splits what a creation carries into the code to store and the constructor's arguments.
func ParseCreation(data []byte) (code, args []byte, err error) {
	switch {
	case len(data) > MaxCreation:
		return nil, nil, ErrTooLarge
	case bytes.HasPrefix(data, []byte(wasmHeader)):
		code = data
	case bytes.HasPrefix(data, []byte(frameHeader)):
		if len(data) < frameBytes {
			return nil, nil, ErrTruncated
		}
		if data[len(frameHeader)] != frameVersion {
			return nil, nil, ErrFrame
		}
		size, rest := binary.BigEndian.Uint32(data[frameBytes-4:]), data[frameBytes:]
		if uint64(size) > uint64(len(rest)) {
			return nil, nil, ErrTruncated
		}
		code, args = append([]byte(stylusHeader), rest[:size]...), rest[size:]
	case isStylus(data):
		size, rest := data[1:33], data[stylusPrelude:]
		if !bytes.Equal(size[:28], make([]byte, 28)) || uint64(binary.BigEndian.Uint32(size[28:])) > uint64(len(rest)) {
			return nil, nil, ErrTruncated
		}
		n := binary.BigEndian.Uint32(size[28:])
		code, args = rest[:n], rest[n:]
		if !bytes.HasPrefix(code, []byte(stylusHeader)) {
			if bytes.HasPrefix(code, []byte(stylusHeader[:3])) {
				return nil, nil, ErrFrame
			}
			return nil, nil, ErrEVM
		}
	default:
		return nil, nil, ErrEVM
	}
	if len(code) > MaxCode {
		return nil, nil, ErrTooLarge
	}
	return code, args, nil
}

func isStylus(data []byte) bool {
	return len(data) >= stylusPrelude && data[0] == stylusPush[0] && string(data[33:stylusPrelude]) == stylusReturn
}

// Pack wraps a module for a creation: compressed, in a frame to which constructor arguments can be appended, as
// every Ethereum tool does with a contract's bytecode.
func Pack(wasm []byte) ([]byte, error) {
	if len(wasm) > meter.MaxModuleBytes {
		return nil, ErrTooLarge
	}
	var b bytes.Buffer
	b.WriteString(frameHeader)
	b.Write([]byte{frameVersion, 0, 0, 0, 0})
	w := brotli.NewWriterLevel(&b, brotli.BestCompression)
	if _, err := w.Write(wasm); err != nil {
		return nil, fmt.Errorf("compressing the module: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compressing the module: %w", err)
	}
	frame := b.Bytes()
	binary.BigEndian.PutUint32(frame[frameBytes-4:], uint32(len(frame)-frameBytes))
	return frame, nil
}

// Wasm returns the module in stored code.
func Wasm(code []byte) ([]byte, error) {
	if len(code) > MaxCode {
		return nil, ErrTooLarge
	}
	if bytes.HasPrefix(code, []byte(wasmHeader)) {
		return code, nil
	}
	packed, ok := bytes.CutPrefix(code, []byte(stylusHeader))
	if !ok {
		return nil, ErrEVM
	}
	if wideWindow(packed) {
		return nil, ErrWindow
	}
	source := bytes.NewReader(packed)
	wasm, err := io.ReadAll(io.LimitReader(brotli.NewReader(source), meter.MaxModuleBytes+1))
	switch {
	case len(wasm) > meter.MaxModuleBytes:
		return nil, ErrTooLarge
	case err != nil || source.Len() > 0:
		return nil, ErrBrotli
	}
	return wasm, nil
}

// wideWindow says whether a brotli stream has a window of more than 2^22 bytes, which is what compressors use
// by themselves (RFC 7932, 9.1). A decompressor allocates all of it if the stream says so.
func wideWindow(packed []byte) bool {
	const bits23, bits24 = 0b1101, 0b1111
	return len(packed) > 0 && (packed[0]&0xf == bits23 || packed[0]&0xf == bits24)
}

// Activation is what there is to know about code before it runs.
type Activation struct {
	// Version is stored with the code: it runs by the rules that it was accepted by.
	Version meter.Version
	// Gas is the price of the activation.
	Gas uint64
	// Pages of memory that an instance starts with.
	Pages uint32
	// HasConstructor says that the module takes constructor arguments.
	HasConstructor bool
}

// Activate checks stored code by the rules for new code.
func Activate(code []byte) (Activation, error) {
	wasm, err := Wasm(code)
	if err != nil {
		return Activation{}, err
	}
	m, err := meter.Rewrite(wasm, meter.Current)
	if err != nil {
		return Activation{}, err
	}
	return Activation{meter.Current, m.ActivationGas, m.Pages, m.HasConstructor}, nil
}
