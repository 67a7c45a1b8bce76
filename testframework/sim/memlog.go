package sim

import "github.com/tercet-chain/tercet/consensus"

// memoryLog is a log that never loses what was synced and costs nothing: for runs that are about
// messages only.
type memoryLog struct {
	synced, waiting []consensus.Record
}

// Append implements [engine.Log].
func (l *memoryLog) Append(records ...consensus.Record) error {
	l.waiting = append(l.waiting, records...)
	return nil
}

// Sync implements [engine.Log].
func (l *memoryLog) Sync() error {
	l.synced = append(l.synced, l.waiting...)
	l.waiting = l.waiting[:0]
	return nil
}

// Prune implements [engine.Log].
func (l *memoryLog) Prune(epoch, belowView uint64) error {
	kept := l.synced[:0]
	for _, r := range l.synced {
		if r.Epoch >= epoch && r.View >= belowView {
			kept = append(kept, r)
		}
	}
	clear(l.synced[len(kept):])
	l.synced = kept
	return nil
}
