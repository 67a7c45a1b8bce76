package consensus_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

var rewrite = flag.Bool("rewrite", false, "write the golden encodings into testdata instead of comparing them")

// samples has one message of each type, and of each shape that a type has.
func samples(t testing.TB) map[string]consensus.Message {
	r := newRig(t, 4, -1, 3, 1)
	first := r.block(1, nil, nil)
	seal := r.block(2, first, func(b *consensus.Block) { b.Header.Flags, b.Data = consensus.FlagSeal, []byte{0} })
	fourth := r.block(4, first, nil)
	hash := first.Hash()
	justified := &consensus.Proposal{
		Block: fourth.Block, LeaderVote: fourth.LeaderVote,
		Justify: consensus.Justify{
			Parent:         r.cert(consensus.Notarize, 1, hash),
			Nullifications: []*consensus.Cert{r.cert(consensus.Nullify, 2, common.Hash{}, 1, 2, 3)},
			Finalization:   r.cert(consensus.Finalize, 1, hash),
		},
	}
	return map[string]consensus.Message{
		"proposal":           justified,
		"proposal_bare":      seal,
		"vote_notarize":      r.vote(consensus.Notarize, 1, hash, 2),
		"vote_nullify":       r.vote(consensus.Nullify, 1<<40, common.Hash{}, 3),
		"vote_finalize":      r.vote(consensus.Finalize, 1, hash, 0),
		"cert":               r.cert(consensus.Nullify, 7, common.Hash{}, 0, 1, 3),
		"status":             &consensus.Status{Epoch: 0, View: 300, FinHeight: 7, FinView: 255, FinHash: hash, ExecHeight: 6, Observer: true},
		"cert_request":       &consensus.CertRequest{From: 1, To: 128},
		"cert_response":      &consensus.CertResponse{Certs: []*consensus.Cert{r.cert(consensus.Notarize, 1, hash), r.cert(consensus.Finalize, 1, hash)}},
		"block_request":      &consensus.BlockRequest{Hash: hash},
		"block_request_from": &consensus.BlockRequest{From: 12, Count: 64},
		"block_response":     &consensus.BlockResponse{Proposals: []*consensus.Proposal{seal, first}},
		"block_response_range": &consensus.BlockResponse{
			Blocks: []*consensus.Block{&first.Block}, Headers: []*consensus.Header{&seal.Block.Header},
			Finalization: r.cert(consensus.Finalize, 2, seal.Hash()),
		},
		"evidence": &consensus.Evidence{A: *r.vote(consensus.Notarize, 1, hash, 1), B: *r.vote(consensus.Notarize, 1, common.Hash{2}, 1)},
	}
}

func TestEncodeMessage_goldenBytes(t *testing.T) {
	list := samples(t)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		file := filepath.Join("testdata", "messages", name+".hex")
		got := hex.EncodeToString(consensus.EncodeMessage(list[name])) + "\n"
		if *rewrite {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is encoded as\n%s, want\n%s", name, got, want)
		}
		frame, err := hex.DecodeString(strings.TrimSpace(string(want)))
		if err != nil {
			t.Fatal(err)
		}
		m, err := consensus.DecodeMessage(bytes.Clone(frame))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if reflect.TypeOf(m) != reflect.TypeOf(list[name]) || !bytes.Equal(consensus.EncodeMessage(m), frame) {
			t.Errorf("%s does not survive a round trip", name)
		}
	}
}

func TestVerifier_acceptsTheSamples(t *testing.T) {
	r := newRig(t, 4, -1, 3, 1)
	for name, m := range samples(t) {
		decoded, err := consensus.DecodeMessage(consensus.EncodeMessage(m))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.v.Verify(decoded); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeMessage_refusesOtherForms(t *testing.T) {
	for name, m := range samples(t) {
		frame := consensus.EncodeMessage(m)
		for what, bad := range map[string][]byte{
			"trailing byte": append(bytes.Clone(frame), 0),
			"cut":           bytes.Clone(frame[:len(frame)-1]),
			"other tag":     append([]byte{frame[0] ^ 0x40}, frame[1:]...),
			"only the tag":  {frame[0]},
			"empty list":    {frame[0], 0xc0},
		} {
			if what == "empty list" && frame[0] == 6 {
				continue // No field to miss: certificates may be none.
			}
			if _, err := consensus.DecodeMessage(bad); !errors.Is(err, consensus.ErrInvalid) {
				t.Errorf("%s with %s: got %v, want ErrInvalid", name, what, err)
			}
		}
	}
	for name, bad := range map[string]string{
		"leading zero":           "05c3820001" + "0102",
		"long form of one byte":  "05c4" + "80" + "8101" + "02",
		"long form of a list":    "05f803800102",
		"epoch wider than 64":    "05cb" + "89010000000000000000" + "01",
		"a list for a number":    "05c3c00102",
		"observer is 2":          "04f8" + "28" + "80808080" + "a0" + strings.Repeat("00", 32) + "80" + "02",
		"surplus field":          "05c480010203",
		"signature of 64 bytes":  "02f86a" + "01" + "80" + "01" + "a0" + strings.Repeat("11", 32) + "02" + "b840" + strings.Repeat("22", 64),
		"an absent nullified":    "06c2c1c0",
		"no frame":               "",
		"a tag of another layer": "40c0",
	} {
		b, err := hex.DecodeString(bad)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m, err := consensus.DecodeMessage(b); !errors.Is(err, consensus.ErrInvalid) {
			t.Errorf("%s: got %+v, %v, want ErrInvalid", name, m, err)
		}
	}
}

func TestDecodeMessage_capsLists(t *testing.T) {
	r := newRig(t, 4, -1, 1, 0)
	cert := r.cert(consensus.Nullify, 1, common.Hash{})
	crowded := r.block(300, nil, nil)
	crowded = &consensus.Proposal{Block: crowded.Block, LeaderVote: crowded.LeaderVote, Justify: consensus.Justify{Nullifications: slices.Repeat([]*consensus.Cert{cert}, 257)}}
	block := &r.block(1, nil, nil).Block
	for name, m := range map[string]consensus.Message{
		"certificates":   &consensus.CertResponse{Certs: slices.Repeat([]*consensus.Cert{cert}, 65)},
		"nullifications": crowded,
		"inner ones":     &consensus.BlockResponse{Proposals: []*consensus.Proposal{crowded}},
		"blocks":         &consensus.BlockResponse{Blocks: slices.Repeat([]*consensus.Block{block}, 513)},
		"headers":        &consensus.BlockResponse{Headers: slices.Repeat([]*consensus.Header{&block.Header}, consensus.MaxHeadersPerRange+1)},
		"proposals":      &consensus.BlockResponse{Proposals: slices.Repeat([]*consensus.Proposal{r.block(1, nil, nil)}, 33)},
	} {
		if _, err := consensus.DecodeMessage(consensus.EncodeMessage(m)); !errors.Is(err, consensus.ErrInvalid) {
			t.Errorf("too many %s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestDigest_bindsEverything(t *testing.T) {
	type args struct {
		network     common.Hash
		kind        consensus.Kind
		epoch, view uint64
		hash        common.Hash
	}
	base := args{common.Hash{1}, consensus.Notarize, 2, 3, common.Hash{4}}
	seen := map[common.Hash]args{}
	for _, a := range []args{
		base,
		{common.Hash{9}, base.kind, base.epoch, base.view, base.hash},
		{base.network, consensus.Finalize, base.epoch, base.view, base.hash},
		{base.network, base.kind, 3, base.view, base.hash},
		{base.network, base.kind, base.epoch, 2, base.hash},
		{base.network, base.kind, base.epoch, base.view, common.Hash{5}},
		{base.network, base.kind, base.view, base.epoch, base.hash},
	} {
		d := consensus.Digest(a.network, a.kind, a.epoch, a.view, a.hash)
		if other, dup := seen[d]; dup {
			t.Errorf("%+v and %+v have one digest", a, other)
		}
		seen[d] = a
	}
	want := crypto.Keccak256Hash([]byte("tercet/vote/1"), []byte{1}, base.network[:],
		[]byte{0, 0, 0, 0, 0, 0, 0, 2}, []byte{0, 0, 0, 0, 0, 0, 0, 3}, base.hash[:])
	if got := consensus.Digest(base.network, base.kind, base.epoch, base.view, base.hash); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

// allocated counts the bytes that f allocates, which must not depend on what its input announces.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzDecodeMessage(f *testing.F) {
	for _, m := range samples(f) {
		f.Add(bytes.Clone(consensus.EncodeMessage(m)))
	}
	f.Add(append([]byte{6, 0xf9, 0x10, 0x03, 0xf9, 0x10, 0}, bytes.Repeat([]byte{0xc0}, 4096)...))                           // certificates without fields
	f.Add(append([]byte{8, 0xf9, 0x10, 0x06, 0xc0, 0xf9, 0x10, 0}, append(bytes.Repeat([]byte{0xc0}, 4096), 0xc0, 0xc0)...)) // blocks without fields
	r := newRig(f, 4, -1, 3, 1)
	f.Fuzz(func(t *testing.T, frame []byte) {
		var m consensus.Message
		var err error
		owned := bytes.Clone(frame)
		if n := allocated(func() { m, err = consensus.DecodeMessage(owned) }); n > 64<<10+32*uint64(len(frame)) {
			t.Fatalf("decoding %d bytes allocates %d", len(frame), n)
		}
		if err != nil {
			if !errors.Is(err, consensus.ErrInvalid) {
				t.Fatalf("decoding fails with %v, want ErrInvalid", err)
			}
			return
		}
		if p, ok := m.(*consensus.Proposal); ok { // Its encoding is remembered: make it anew.
			m = &consensus.Proposal{Block: p.Block, Justify: p.Justify, LeaderVote: p.LeaderVote}
		}
		if again := consensus.EncodeMessage(m); !bytes.Equal(again, frame) {
			t.Fatalf("two encodings of one message:\n%x\n%x", frame, again)
		}
		if _, err := r.v.Verify(m); err != nil && !errors.Is(err, consensus.ErrInvalid) && !errors.Is(err, consensus.ErrEpoch) {
			t.Fatalf("verifying fails with %v", err)
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	r := newRig(f, 4, -1, 3, 1)
	first := r.block(1, nil, nil)
	f.Add(first.Block.Header.Encode())
	f.Add(r.block(2, first, func(b *consensus.Block) { b.Header.Flags = consensus.FlagSeal }).Block.Header.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := consensus.DecodeHeader(b)
		if err != nil {
			if !errors.Is(err, consensus.ErrInvalid) {
				t.Fatalf("decoding fails with %v, want ErrInvalid", err)
			}
			return
		}
		if again := h.Encode(); !bytes.Equal(again, b) {
			t.Fatalf("two encodings of one header:\n%x\n%x", b, again)
		}
	})
}
