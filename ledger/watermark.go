package ledger

import "github.com/tercet-chain/tercet/internal/mutant"

// MayOrder is the Dmax rule: ordering runs ahead of certified execution by a bounded number of blocks.
// Beyond it blocks have no transactions.
func MayOrder(height, watermark, maxOrderedAhead uint64) bool {
	// A watermark above the height wraps around and may not.
	return height-watermark <= maxOrderedAhead || mutant.On(mutant.OrdersPastDmax)
}

// EmptyPayload begins the payload of a block at height: its watermark is that of the newest certificate
// which the proposer has if that is below the block and above the parent's watermark, otherwise the
// parent's. Newest may be nil.
func EmptyPayload(height, parentMark uint64, newest *ExecCert) Payload {
	if newest != nil && newest.Height > parentMark && newest.Height < height {
		return Payload{Watermark: newest.Height, Cert: newest}
	}
	return Payload{Watermark: parentMark}
}

// CheckWatermark applies the rules that tie the payload of a block at height to its parent's watermark;
// errors wrap [ErrInvalid]. They depend on nothing that a node has executed, so that all nodes judge alike.
// The certificate's signatures are not checked, see [ExecCert.Verify].
func (p *Payload) CheckWatermark(height, parentMark, maxOrderedAhead uint64) error {
	switch {
	case p.Watermark < parentMark && !mutant.On(mutant.WatermarkGoesBack):
		return invalidf("watermark %d is below the parent's %d", p.Watermark, parentMark)
	case p.Watermark >= height:
		return invalidf("watermark %d in a block of height %d", p.Watermark, height)
	case p.Watermark == parentMark && p.Cert != nil:
		return invalidf("a certificate for the parent's watermark %d", p.Watermark)
	case p.Watermark > parentMark && (p.Cert == nil || p.Cert.Height != p.Watermark):
		return invalidf("watermark %d without its certificate", p.Watermark)
	case len(p.TxHashes) > 0 && !MayOrder(height, p.Watermark, maxOrderedAhead):
		return invalidf("transactions %d blocks ahead of certified execution, at most %d", height-p.Watermark, maxOrderedAhead)
	}
	return nil
}

// LateCheckpoint is the time from which an empty block is worth proposing so that the newest transactions
// are certified too: the first checkpoint after a tip that is none itself. It is 0 if the tip is one, and
// if the newest proposal on its way, at proposedMs, is that block already. Unix milliseconds.
func LateCheckpoint(tipMs, parentMs, proposedMs uint64) uint64 {
	if parentMs == 0 || IsCheckpoint(tipMs, parentMs) || IsCheckpoint(proposedMs, tipMs) {
		return 0
	}
	return (tipMs/checkpointMs + 1) * checkpointMs
}
