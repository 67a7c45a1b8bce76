package sim

import (
	"encoding/binary"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
)

// markBytes is the length of what every payload begins with: be64(watermark) ‖ be64(certificate). A
// certificate is a number in the table of all that were ever put into a payload, from 1; 0 is none. So
// payloads are short, and each certificate is verified once.
const markBytes = 16

func appendMark(b []byte, watermark, certificate uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, watermark), certificate)
}

// watermark of a payload, 0 for one that has none.
func watermark(payload []byte) uint64 {
	if len(payload) < markBytes {
		return 0
	}
	return binary.BigEndian.Uint64(payload)
}

// idle is a payload without its transactions.
func idle(payload []byte) []byte {
	return payload[:min(len(payload), markBytes):min(len(payload), markBytes)]
}

func transactions(payload []byte) []uint64 {
	if len(payload) <= markBytes {
		return nil
	}
	payload = payload[markBytes:]
	txs := make([]uint64, len(payload)/8)
	for i := range txs {
		txs[i] = binary.BigEndian.Uint64(payload[8*i:])
	}
	return txs
}

// payload is what production makes of a payload's bytes; the hashes of its transactions are blank.
func (x *execution) payload(b []byte) (ledger.Payload, bool) {
	if len(b) < markBytes || len(b)%8 != 0 {
		return ledger.Payload{}, false
	}
	p := ledger.Payload{Watermark: watermark(b)}
	if count := (len(b) - markBytes) / 8; count > 0 {
		p.TxHashes = blank[:min(count, len(blank))]
	}
	number := binary.BigEndian.Uint64(b[8:])
	if number == 0 {
		return p, true
	}
	if number > uint64(len(x.proofs)) {
		return p, false
	}
	p.Cert = x.proofs[number-1].cert
	return p, p.Cert.Height == p.Watermark
}

// proven reports whether the certificate of a payload verifies, if it has one.
func (x *execution) proven(p *ledger.Payload) bool {
	return p.Cert == nil || x.proofs[x.numbers[p.Cert]-1].valid
}

// blank stands for the hashes of transactions: rules ask only how many there are.
var blank = [maxBlockTxs]common.Hash{}

// parentOf is a request's parent as the last of a list of ancestors.
func parentOf(j *consensus.JudgeRequest) []*consensus.Block {
	if j.Parent == nil {
		return nil
	}
	return []*consensus.Block{j.Parent}
}

// markOf is the watermark of a block that was delivered, or is the last of some ancestors; known is false
// if it is not here.
func (a *app) markOf(height uint64, hash common.Hash, ancestors []*consensus.Block) (mark uint64, known bool) {
	if len(ancestors) > 0 {
		return watermark(ancestors[len(ancestors)-1].Payload), true
	}
	if height == 0 {
		return 0, hash == genesis
	}
	var f *consensus.FinalBlock
	switch stored := uint64(len(a.store)); {
	case height <= stored:
		f = &a.store[height-1]
	case height-stored <= uint64(len(a.queue)):
		f = &a.queue[height-stored-1]
	default: // about to be delivered, after what is judged
		for i := range a.n.outputs {
			for k := range a.n.outputs[i].Final {
				if x := &a.n.outputs[i].Final[k]; x.Block.Header.Height == height {
					f = x
				}
			}
		}
	}
	if f == nil || f.Hash != hash {
		return 0, false
	}
	return watermark(f.Block.Payload), true
}

// tail is the newest delivered block, and whether an empty one is worth proposing behind it.
type tail struct {
	mark          uint64
	ms, parentMs  uint64
	proposedMs    uint64
	proposedUntil time.Duration // when the newest proposal counts as abandoned
}

// tailAt is the tail of the store at a height.
func (a *app) tailAt(height uint64) tail {
	if height == 0 {
		return tail{ms: epochMs}
	}
	b := a.store[height-1].Block
	t := tail{mark: watermark(b.Payload), ms: b.Header.TimeMs, parentMs: epochMs}
	if height > 1 {
		t.parentMs = a.store[height-2].Block.Header.TimeMs
	}
	return t
}

func (t *tail) deliver(h *consensus.Header, payload []byte) {
	t.parentMs, t.ms, t.mark = t.ms, h.TimeMs, watermark(payload)
}

func (t *tail) proposed(timeMs uint64, until time.Duration) {
	t.proposedMs, t.proposedUntil = max(t.proposedMs, timeMs), until
}

// late is the time of the checkpoint that the tail lacks, 0 for none.
func (t *tail) late(now time.Duration) uint64 {
	proposed := t.proposedMs
	if t.proposedUntil <= now {
		proposed = 0
	}
	return ledger.LateCheckpoint(t.ms, t.parentMs, proposed)
}

// wanted reports whether an empty block of a time is the checkpoint that the tail lacks.
func (t *tail) wanted(timeMs uint64) bool {
	slot := ledger.LateCheckpoint(t.ms, t.parentMs, 0)
	return slot != 0 && timeMs >= slot
}
