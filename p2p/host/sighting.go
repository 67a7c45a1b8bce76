package host

import (
	"context"
	"errors"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/tercet-chain/tercet/p2p"
)

// sightings is what the handshakes and the failures of one peer told about it, for people: nothing here
// decides whom the host talks to. The peer chooses what it says, so that it is bounded.
type sightings struct {
	network string // the last one that was not ours, while no handshake succeeded since
	version uint64
	reach   p2p.Reach

	// instances that used the peer's id, the latest first, at most maxInstances.
	instances []sighting
	returned  int       // how often one returned after another
	twin      time.Time // when one did the last time, if it was the second time or later
	ownTwin   time.Time // when another process used our id towards the peer, as it says
}

type sighting struct {
	instance uint64
	at       time.Time
}

const (
	// maxInstances of a peer are remembered: two that alternate, and some restarts between.
	maxInstances = 8
	// twinMargin is how much longer than this process lives the use of our id by another one has to be
	// ago before it can have been the process before this one: handshakes in flight, the time of a start.
	twinMargin = 5 * time.Second
)

// handshake is what this process says of itself.
func (h *Host) handshake() p2p.Handshake {
	ours := h.cfg.handshake()
	ours.Instance = h.instance
	return ours
}

// answered is the handshake for the peer that shook hands before.
func (r *remote) answered(now time.Time) p2p.Handshake {
	ours := r.host.handshake()
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sightings.instances; len(s) > 1 {
		ours.Other, ours.OtherAgo = s[1].instance, uint64(max(0, now.Sub(s[1].at).Milliseconds()))
	}
	return ours
}

// saw notes a handshake of the peer.
func (r *remote) saw(theirs *p2p.Handshake, now time.Time) {
	ours := r.host.cfg.handshake()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.sightings
	s.reach = ""
	if theirs.Network != ours.Network || theirs.Version != ours.Version {
		s.network, s.version = theirs.Network, theirs.Version
	}
	s.meet(theirs.Instance, now)
	alive := now.Sub(r.host.began)
	if ago := theirs.OtherAgo; theirs.Other != 0 && theirs.Other != r.host.instance && ago < uint64(alive.Milliseconds()) {
		if d := time.Duration(ago) * time.Millisecond; d+twinMargin < alive {
			s.ownTwin = now.Add(-d)
		}
	}
}

// meet notes an instance. A process that ended never returns, so one that does is beside another; once may be
// a handshake that was read late.
func (s *sightings) meet(instance uint64, now time.Time) {
	if instance == 0 {
		return
	}
	i := slices.IndexFunc(s.instances, func(x sighting) bool { return x.instance == instance })
	if i > 0 {
		if s.returned++; s.returned > 1 {
			s.twin = now
		}
	}
	if i >= 0 {
		s.instances = slices.Delete(s.instances, i, i+1)
	}
	s.instances = slices.Insert(s.instances, 0, sighting{instance, now})
	s.instances = s.instances[:min(len(s.instances), maxInstances)]
}

// compatible notes that the peer is up.
func (s *sightings) compatible() { s.network, s.version, s.reach = "", 0, "" }

func (s *sightings) describe(out *p2p.PeerStatus) {
	out.Network, out.Version, out.Reach, out.Twin, out.OwnTwin = s.network, s.version, s.reach, s.twin, s.ownTwin
}

// reached notes how an attempt to connect failed; empty keeps what is known.
func (r *remote) reached(how p2p.Reach) {
	if how == "" {
		return
	}
	r.mu.Lock()
	r.sightings.reach = how
	r.mu.Unlock()
}

// reachOf tells from an error of dialling or shaking hands what is at the peer's address.
func reachOf(err error) p2p.Reach {
	var dial *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return p2p.ReachRefused
	case errors.As(err, &dial) && dial.Op == "dial":
		return p2p.ReachNone
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return p2p.ReachSilent
	}
	return ""
}
