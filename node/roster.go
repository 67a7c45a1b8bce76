package node

import (
	"fmt"

	"github.com/tercet-chain/tercet/consensus"
	"github.com/tercet-chain/tercet/ledger"
	"github.com/tercet-chain/tercet/node/config"
	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
)

// roster numbers everybody who may connect: the genesis validators by index, then the other configured
// peers in the order of the configuration. Immutable.
type roster struct {
	ids   []p2p.PeerID // by number
	names []string
	peers []p2p.Peer
	index map[p2p.PeerID]int
}

// newRoster joins the validators of the genesis with the configured peers, which add names and
// addresses.
func newRoster(g *ledger.Genesis, peers []config.Peer) (*roster, error) {
	configured := make(map[p2p.PeerID]config.Peer, len(peers))
	for _, c := range peers {
		configured[p2p.PeerID(c.ID)] = c
	}
	r := &roster{index: make(map[p2p.PeerID]int)}
	for i, v := range g.Validators {
		id := p2p.PeerID(v.PeerID)
		if id == "" && len(g.Validators) > 1 {
			return nil, config.Errorf("genesis.json names no peerId for validator %s: add the one that \"tercet keys show\" prints on that node", v.Address)
		}
		name := configured[id].Name
		if name == "" {
			name = fmt.Sprintf("validator-%d", i)
		}
		r.add(p2p.Peer{ID: id, Name: name, Addrs: configured[id].Addrs})
	}
	for _, c := range peers {
		if _, validator := r.index[p2p.PeerID(c.ID)]; !validator {
			r.add(p2p.Peer{ID: p2p.PeerID(c.ID), Name: c.Name, Addrs: c.Addrs})
		}
	}
	return r, nil
}

func (r *roster) add(p p2p.Peer) {
	if p.ID != "" {
		r.index[p.ID] = len(r.ids)
		r.peers = append(r.peers, p)
	}
	r.ids, r.names = append(r.ids, p.ID), append(r.names, p.Name)
}

// network sends frames by number; it is what engine and pipeline see of the host.
type network struct {
	host   *host.Host
	roster *roster
}

// Send queues a frame for a peer, or for all that are connected. It never blocks.
func (n *network) Send(to int, lane consensus.Lane, frame []byte) {
	if to == consensus.Everyone {
		n.host.Broadcast(p2p.Lane(lane), frame)
		return
	}
	if to >= 0 && to < len(n.roster.ids) {
		n.host.Send(n.roster.ids[to], p2p.Lane(lane), frame)
	}
}

// The lanes of the two packages are the same numbers: each of these arrays has no element.
var (
	_ [0]struct{} = [p2p.LaneVote - p2p.Lane(consensus.LaneVote)]struct{}{}
	_ [0]struct{} = [p2p.LaneCert - p2p.Lane(consensus.LaneCert)]struct{}{}
	_ [0]struct{} = [p2p.LaneProposal - p2p.Lane(consensus.LaneProposal)]struct{}{}
	_ [0]struct{} = [p2p.LaneSync - p2p.Lane(consensus.LaneSync)]struct{}{}
)
