package consensus_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/tercet-chain/tercet/consensus"
)

// packed writes records as type u8 ‖ view be64 ‖ length be16 ‖ data, and unpacked reads what it can of that.
func packed(records ...consensus.Record) (b []byte) {
	for _, r := range records {
		b = binary.BigEndian.AppendUint64(append(b, byte(r.Type)), r.View)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(r.Data))), r.Data...)
	}
	return b
}

func unpacked(b []byte) (records []consensus.Record) {
	for len(b) >= 11 {
		n := min(int(binary.BigEndian.Uint16(b[9:])), len(b)-11)
		records = append(records, consensus.Record{Type: consensus.RecordType(b[0]), View: binary.BigEndian.Uint64(b[1:]), Data: slices.Clone(b[11 : 11+n])})
		b = b[11+n:]
	}
	return records
}

// FuzzNew_recovered: a log of any records is refused, or gives a core that starts and contradicts nothing of it.
func FuzzNew_recovered(f *testing.F) {
	r := newRig(f, 4, 3, 2, 1)
	first := r.block(1, nil, nil)
	second := r.block(2, first, nil)
	notarize := func(p *consensus.Proposal) consensus.Record {
		return consensus.Record{Type: consensus.RecordNotarize, View: p.Block.Header.View, Data: consensus.EncodeMessage(p)}
	}
	cert, err := rlp.EncodeToBytes(r.cert(consensus.Notarize, 1, first.Hash()))
	if err != nil {
		f.Fatal(err)
	}
	finalize := consensus.Record{Type: consensus.RecordFinalize, View: 1, Data: cert}
	null := consensus.Record{Type: consensus.RecordNullify, View: 3}
	for _, log := range [][]consensus.Record{
		{notarize(first)},
		{notarize(first), finalize, notarize(second), null},
		{{Type: consensus.RecordAmnesia}, null},
		{null, {Type: consensus.RecordFloor, View: 9}},
		{finalize, {Type: consensus.RecordFinalize, View: 2, Data: cert}},
		{{Type: consensus.RecordNotarize, View: 1, Data: []byte{2}}},
		{{Type: 9, View: 1}},
		{{Type: consensus.RecordNullify, View: math.MaxUint64}},
		{{Type: consensus.RecordNullify}},
	} {
		f.Add(packed(log...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		records := unpacked(b)
		cfg := r.cfg
		cfg.Recovered = records
		core, err := consensus.New(cfg)
		if err != nil {
			return
		}
		votes := promised(t, records)
		if contradiction(cfg.Schedule(), votes) {
			return // It repeats what it reads.
		}
		out := core.Step(consensus.Instant{Mono: 1, UnixMs: wallStart}, consensus.Start{})
		for _, s := range out.Send {
			for _, v := range ownVotes(s.Message, 3) {
				votes = append(votes, *v)
			}
		}
		if contradiction(cfg.Schedule(), votes) {
			t.Fatal("a core that starts contradicts its log")
		}
		if out.Fault == "" && out.WakeAt <= 1 {
			t.Fatal("a core that starts does not wake")
		}
	})
}

func contradiction(s consensus.Schedule, votes []consensus.Vote) bool {
	for i := range votes {
		for j := range i {
			if consensus.Conflict(s, &votes[i], &votes[j]) {
				return true
			}
		}
	}
	return false
}

// promised are the votes of a log, without signatures.
func promised(t *testing.T, records []consensus.Record) (votes []consensus.Vote) {
	for _, r := range records {
		v := consensus.Vote{View: r.View, Signer: 3}
		switch r.Type {
		case consensus.RecordNullify:
			v.Kind = consensus.Nullify
		case consensus.RecordFinalize:
			var c consensus.Cert
			if err := rlp.DecodeBytes(r.Data, &c); err != nil {
				t.Fatalf("a record of view %d with data %x was accepted", r.View, r.Data)
			}
			v.Kind, v.Hash = consensus.Finalize, c.Hash
		case consensus.RecordNotarize:
			m, err := consensus.DecodeMessage(r.Data)
			p, ok := m.(*consensus.Proposal)
			if err != nil || !ok {
				t.Fatalf("a record of view %d with data %x was accepted", r.View, r.Data)
			}
			v.Kind, v.Hash = consensus.Notarize, p.Hash()
		}
		if v.Kind != 0 && v.Hash != (common.Hash{}) || v.Kind == consensus.Nullify {
			votes = append(votes, v)
		}
	}
	return votes
}
