package invariant

import (
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/consensus"
)

// Chains follows what nodes deliver and what they have made durable.
type Chains struct {
	committee *Committee
	genesis   common.Hash
	genesisMs uint64
	maxDrift  uint64 // ms
	chain     []chainBlock
	nodes     []nodeChain
	spent     map[uint64]uint64 // transaction to the height that ordered it first
}

type chainBlock struct {
	hash   common.Hash
	view   uint64
	timeMs uint64
	proof  *consensus.Cert // verified, nil for none; nobody may change it
}

// nodeChain is what one node has shown of itself.
type nodeChain struct {
	height  uint64 // newest delivered by the running process
	durable uint64 // newest that it acknowledged
}

// NewChains begins at the genesis block; maxDriftMs is how far clocks may be apart.
func NewChains(c *Committee, nodes int, genesisMs, maxDriftMs uint64) *Chains {
	return &Chains{committee: c, genesis: c.Network, genesisMs: genesisMs, maxDrift: maxDriftMs, nodes: make([]nodeChain, nodes), spent: map[uint64]uint64{}}
}

// Height is the newest height that any node has delivered.
func (c *Chains) Height() uint64 { return uint64(len(c.chain)) }

// View is the view of the block at a height, 0 for the genesis.
func (c *Chains) View(height uint64) uint64 {
	if height == 0 {
		return 0
	}
	return c.chain[height-1].view
}

// Started notes that a node's process begins at a height, which its disk gave it; lost says that a fault
// took blocks from the disk.
func (c *Chains) Started(node int, height uint64, lost bool) error {
	n := &c.nodes[node]
	if lost {
		n.durable = min(n.durable, height)
	}
	if height < n.durable {
		return violation(RuleReceipt, "node %d acknowledged height %d and starts again at %d", node, n.durable, height)
	}
	if height > c.Height() {
		return violation(RuleOrder, "node %d starts at height %d, nobody delivered more than %d", node, height, c.Height())
	}
	n.height = height
	return nil
}

// Acknowledged notes that a node has shown receipts of a height to clients.
func (c *Chains) Acknowledged(node int, height uint64) error {
	n := &c.nodes[node]
	if height > c.Height() {
		return violation(RuleReceipt, "node %d acknowledges height %d, nobody delivered more than %d", node, height, c.Height())
	}
	n.durable = max(n.durable, height)
	return nil
}

// Delivered takes a final block. nowMs is the most that any correct clock shows.
func (c *Chains) Delivered(node int, f *consensus.FinalBlock, nowMs uint64) error {
	h := &f.Block.Header
	n := &c.nodes[node]
	if h.Height != n.height+1 {
		return violation(RuleOrder, "node %d delivered height %d after %d", node, h.Height, n.height)
	}
	n.height = h.Height
	if f.Finalization != nil {
		cert := f.Finalization
		if cert.Kind != consensus.Finalize || cert.View != h.View || cert.Hash != f.Hash {
			return violation(RuleFinality, "node %d delivered height %d of view %d with a %s of view %d, or of another block", node, h.Height, h.View, cert.Kind, cert.View)
		}
	}
	if err := c.bytes(node, f); err != nil {
		return err
	}
	if h.Height <= c.Height() {
		have := &c.chain[h.Height-1]
		if have.hash != f.Hash {
			return violation(RuleAgreement, "height %d is block %.8x and, at node %d, %.8x", h.Height, have.hash, node, f.Hash)
		}
		return c.proof(have, f)
	}
	return c.extend(node, f, nowMs)
}

// extend checks the first delivery of a height.
func (c *Chains) extend(node int, f *consensus.FinalBlock, nowMs uint64) error {
	h := &f.Block.Header
	parent := chainBlock{hash: c.genesis, timeMs: c.genesisMs}
	if len(c.chain) > 0 {
		parent = c.chain[len(c.chain)-1]
	}
	switch {
	case h.Height != c.Height()+1:
		return violation(RuleOrder, "node %d delivered height %d, nobody has %d", node, h.Height, c.Height()+1)
	case h.Epoch != 0:
		return violation(RuleHeader, "block %d is of epoch %d", h.Height, h.Epoch)
	case h.ParentHash != parent.hash || h.ParentView != parent.view || h.View <= parent.view:
		return violation(RuleAgreement, "block %d of view %d does not continue the chain", h.Height, h.View)
	case h.TimeMs <= parent.timeMs:
		return violation(RuleTime, "block %d has the time %d, its parent %d", h.Height, h.TimeMs, parent.timeMs)
	case h.TimeMs > nowMs+c.maxDrift && h.TimeMs != parent.timeMs+1:
		return violation(RuleTime, "block %d is %d ms ahead of every clock", h.Height, h.TimeMs-nowMs)
	case h.Proposer != c.committee.Addresses[c.committee.leader(h.View)]:
		return violation(RuleProposer, "block %d of view %d is not of its leader", h.Height, h.View)
	}
	block := chainBlock{hash: f.Hash, view: h.View, timeMs: h.TimeMs}
	if err := c.proof(&block, f); err != nil {
		return err
	}
	c.chain = append(c.chain, block)
	return nil
}

// proof checks the finalization with which a block was delivered, unless it is the one seen last.
func (c *Chains) proof(b *chainBlock, f *consensus.FinalBlock) error {
	if f.Finalization == nil || f.Finalization == b.proof {
		return nil
	}
	b.proof = f.Finalization
	return c.committee.Certificate(f.Finalization)
}

// bytes checks that a block is what its hash says.
func (c *Chains) bytes(node int, f *consensus.FinalBlock) error {
	h := &f.Block.Header
	if headerHash(h) != f.Hash {
		return violation(RuleHeader, "node %d delivered height %d with another header than its hash names", node, h.Height)
	}
	if crypto.Keccak256Hash(f.Block.Payload) != h.PayloadHash {
		return violation(RulePayload, "node %d delivered height %d with another payload than the header names", node, h.Height)
	}
	return nil
}

// Ordered notes the transactions of a block when it is delivered first; submitted says which exist.
func (c *Chains) Ordered(height uint64, txs []uint64, submitted func(tx uint64) bool) error {
	for _, tx := range txs {
		if !submitted(tx) {
			return violation(RuleMadeUp, "block %d orders transaction %d, which nobody sent", height, tx)
		}
		if at, ok := c.spent[tx]; ok && at != height {
			return violation(RuleTwice, "transaction %d is executed at the heights %d and %d", tx, at, height)
		}
		c.spent[tx] = height
	}
	return nil
}

// OrderedAt is the height that executed a transaction, 0 while none did.
func (c *Chains) OrderedAt(tx uint64) uint64 { return c.spent[tx] }
