package pipeline_test

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/pipeline"
)

// quiet is a node of a fuzz target, which may not log to its testing.F.
func quiet(f *testing.F, validators int) (*world, *node) {
	w := newWorld(f, validators)
	return w, start(f, w, 0, f.TempDir(), newBoard(), slog.New(slog.DiscardHandler))
}

// FuzzPipeline_Receive: frames of peers, above those of consensus. No height that nobody executed is certified by them.
func FuzzPipeline_Receive(f *testing.F) {
	w, n := quiet(f, 4)
	b := order(n, []*node{n}, 60)
	h := n.awaitHeight(1)
	set := n.pipeline.Committee().Hash()
	result := ledger.ExecResult{
		Height: 1, HeaderHash: h.Header.Hash(), StateRoot: h.Header.Root, ReceiptsRoot: h.Header.ReceiptHash,
		TimeMs: b.Header.TimeMs, ValidatorSetHash: set, PendingSetHash: set,
	}
	var votes []*ledger.ExecVote
	for i, k := range w.validators {
		v := &ledger.ExecVote{ExecResult: result, Signer: uint16(i)}
		v.Sig = [65]byte(k.Sign(v.Digest(chainID, n.pipeline.GenesisHash())))
		votes = append(votes, v)
		if i == 1 {
			f.Add(append([]byte{pipeline.FrameExecVote}, ledger.EncodeExecVote(v)...))
			v2 := *v
			v2.Height = 7
			f.Add(append([]byte{pipeline.FrameExecVote}, ledger.EncodeExecVote(&v2)...))
		}
	}
	for _, signers := range [][]*ledger.ExecVote{votes[:2], votes[1:]} {
		cert, err := ledger.NewExecCert(result, 4, signers)
		if err != nil {
			f.Fatal(err)
		}
		cert.Height += 2 // Not what they signed.
		f.Add(append([]byte{pipeline.FrameExecCert}, ledger.EncodeExecCert(cert)...))
	}
	f.Add([]byte{pipeline.FrameExecCertRequest, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add(append([]byte{pipeline.FrameExecCertRequest}, bytes.Repeat([]byte{0xff}, 8)...))
	f.Add([]byte{pipeline.FrameExecCertRequest})
	f.Add([]byte{0x7f})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) == 0 {
			return // The network refuses empty frames.
		}
		for from := range 2 {
			if err := n.pipeline.Receive(from+1, bytes.Clone(frame)); err != nil && !errors.Is(err, ledger.ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
		}
		if others, own := n.pipeline.VotesHeld(); others > 4*1024 || own > 1024 {
			t.Fatalf("%d votes of others and %d own ones are held", others, own)
		}
		if h := n.pipeline.Head(); h.Certified > 1 || h.Height() != 1 {
			t.Fatalf("height %d, certified %d", h.Height(), h.Certified)
		}
	})
}

// FuzzPipeline_Judge: a payload and the data beside it. Valid is what decodes, fits together and is within the limits, and
// only the data can be missing.
func FuzzPipeline_Judge(f *testing.F) {
	w, n := quiet(f, 1)
	raws := [][]byte{w.raw(f, 0, 0), w.raw(f, 1, 0), w.raw(f, 1, 1)}
	payload := &ledger.Payload{}
	for _, raw := range raws {
		payload.TxHashes = append(payload.TxHashes, crypto.Keccak256Hash(raw))
	}
	good, data := ledger.EncodePayload(payload), ledger.EncodeData(raws)
	payload.TxHashes = append(payload.TxHashes, payload.TxHashes[0])
	twice := ledger.EncodePayload(payload)
	f.Add(good, data)
	f.Add(good, []byte(nil))
	f.Add(good, ledger.EncodeData(raws[:2]))
	f.Add(twice, ledger.EncodeData(append(raws, raws[0])))
	f.Add(ledger.EncodePayload(&ledger.Payload{}), []byte(nil))
	f.Add(ledger.EncodePayload(&ledger.Payload{}), data)
	f.Add(ledger.EncodePayload(&ledger.Payload{Watermark: 9}), []byte(nil))
	f.Add(ledger.EncodePayload(&ledger.Payload{TxHashes: []common.Hash{crypto.Keccak256Hash([]byte{1})}}), ledger.EncodeData([][]byte{{1}}))
	limits := w.genesis.Limits()
	f.Fuzz(func(t *testing.T, payload, data []byte) {
		b := n.block(&n.parent.Header, n.pipeline.GenesisHash(), genesisMs+60, payload, data)
		verdict := n.pipeline.Judge(consensus.JudgeRequest{Hash: b.Header.Hash(), Block: b})
		p, err := ledger.DecodePayload(payload)
		if err != nil {
			if verdict != consensus.Invalid {
				t.Fatalf("verdict %d on a payload that does not decode: %v", verdict, err)
			}
			return
		}
		raws, err := ledger.DecodeData(data)
		fits := err == nil && len(raws) == len(p.TxHashes) // the data are what the payload names
		valid := p.Watermark == 0 && p.Cert == nil
		seen := map[common.Hash]bool{}
		for i := 0; fits && i < len(raws); i++ {
			hash := crypto.Keccak256Hash(raws[i])
			fits = hash == p.TxHashes[i]
			_, err := ledger.DecodeTransaction(raws[i], chainID, limits)
			valid = valid && err == nil && !seen[hash]
			seen[hash] = true
		}
		switch {
		case verdict == consensus.Missing && fits, verdict == consensus.Valid && !(fits && valid):
			t.Fatalf("verdict %d: data fit: %t, all is valid: %t", verdict, fits, valid)
		case verdict == consensus.Invalid && fits && valid && len(raws) <= 3 && len(payload)+len(data) < 1<<16:
			t.Fatalf("a small valid block is judged invalid")
		}
	})
}
