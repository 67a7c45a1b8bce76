package diagnosis

import (
	"fmt"
	"slices"
	"time"

	"github.com/tercet-chain/tercet/p2p"
)

const (
	// silentAfter without a byte a connected peer counts as silent: it sends a keepalive every 2 s, and is
	// disconnected after 7 s.
	silentAfter = 4500 * time.Millisecond
	// downAfter is how long a peer may be away before that is worth a finding: a restart takes less.
	downAfter = 5 * time.Second
	// voteless blocks that became final while a connected validator sent no vote for votelessFor are a finding.
	voteless    = 16
	votelessFor = 10 * time.Second
	// twinRecent is how long a second process with one key is taken for one that may still run.
	twinRecent = 10 * time.Minute
)

// silent reports whether nothing comes from a peer although its machine keeps or accepts connections.
func (p *Peer) silent(now time.Time) bool {
	if p.Connected {
		return now.Sub(p.heard()) > silentAfter
	}
	return p.Reach == p2p.ReachSilent && !p.incompatible()
}

// heard is when the peer was last heard of, at the earliest when it came up.
func (p *Peer) heard() time.Time {
	if p.Connected && p.Heard.Before(p.PeerStatus.Since) {
		return p.PeerStatus.Since
	}
	return p.Heard
}

func (p *Peer) incompatible() bool { return p.Network != "" }

// inReach reports whether the peer can be expected to answer.
func (p *Peer) inReach(now time.Time) bool { return p.Connected && !p.silent(now) }

// away is how long a peer that is not connected has been away, as far as this process knows.
func (f *Facts) away(p *Peer) time.Duration {
	if p.PeerStatus.Since.IsZero() {
		return f.Uptime
	}
	return max(0, min(f.Uptime, f.Now.Sub(p.PeerStatus.Since)))
}

// why says what is known of a peer that is not in reach.
func (f *Facts) why(p *Peer) string {
	switch {
	case p.incompatible() && p.Network != f.Network:
		return "runs another network, " + p.Network
	case p.incompatible():
		return fmt.Sprintf("speaks another protocol version, %d", p.Version)
	case p.Connected && p.silent(f.Now):
		return fmt.Sprintf("connected, silent for %v", Rounded(f.Now.Sub(p.heard())))
	}
	how := "not connected since this process started, for %v"
	if !p.PeerStatus.Since.IsZero() {
		how = "gone for %v"
	}
	how = fmt.Sprintf(how, Rounded(f.away(p)))
	switch {
	case p.Refused.After(f.Now):
		how += ", refused for misbehaviour"
	case p.Reach == p2p.ReachRefused:
		how += ", nothing listens at its address"
	case p.Reach == p2p.ReachSilent:
		how += ", its machine keeps or accepts connections and the process does not answer"
	case p.Reach == p2p.ReachNone:
		how += ", its address does not answer"
	}
	return how
}

func (f *Facts) peerFigures(p *Peer) map[string]any {
	m := map[string]any{"peer": p.Name, "peerId": string(p.ID), "connected": p.Connected, "awayMs": int64(0)}
	if !p.Connected {
		m["awayMs"] = f.away(p).Milliseconds()
		m["lastError"] = p.LastError
	}
	if !p.Heard.IsZero() {
		m["heardMsAgo"] = f.Now.Sub(p.Heard).Milliseconds()
	}
	return m
}

// quorum counts the validators in reach.
func quorum(f *Facts) []Finding {
	reach := 0
	if f.Validator {
		reach++
	}
	var missing []any
	var names []string
	for i := range f.Peers {
		p := &f.Peers[i]
		switch {
		case !p.Validator:
		case p.inReach(f.Now):
			reach++
		default:
			names = append(names, p.Name+" ("+f.why(p)+")")
			missing = append(missing, f.peerFigures(p))
		}
	}
	if reach >= f.Quorum {
		return nil
	}
	return unready(one(NoQuorum, Error, map[string]any{"inReach": reach, "quorum": f.Quorum, "validators": f.Validators, "missing": missing},
		"start the others, or check p2p.peers and the network between them; blocks go on by themselves once a quorum is back",
		"%d of the %d validators that make a quorum are in reach, so no block becomes final; missing: %s", reach, f.Quorum, list(names)))
}

// genesis tells who runs another chain.
func genesis(f *Facts) []Finding {
	by := map[string][]string{}
	same := 0
	for i := range f.Peers {
		p := &f.Peers[i]
		if p.Connected {
			same++
		} else if p.incompatible() && p.Network != f.Network {
			by[p.Network] = append(by[p.Network], p.Name)
		}
	}
	var found []Finding
	for _, id := range sortedKeys(by) {
		names := by[id]
		do := "compare genesis.json of the nodes: one of the two sides has the wrong one; put the right one there, with an empty data directory if the node has followed the wrong chain"
		guess := ""
		switch {
		case same == 0 && len(names) > 1:
			guess = "; no peer has this node's, so it is probably this node that has the wrong genesis.json"
		case same > len(names):
			guess = fmt.Sprintf("; %d %s this node's", same, plural(same, "peer has", "peers have"))
		}
		found = append(found, one(WrongGenesis, Error, map[string]any{"network": f.Network, "theirs": id, "peers": names, "peersOfOurs": same}, do,
			"%s %s the network %s (first 8 bytes of the genesis hash), this node %s%s", list(names), plural(len(names), "runs", "run"), id, f.Network, guess)...)
	}
	return found
}

// versions compares what peers said in their handshakes.
func versions(f *Facts) []Finding {
	var found []Finding
	var names []string
	others := map[string][]string{}
	var theirs uint64
	for i := range f.Peers {
		p := &f.Peers[i]
		if !p.Connected && p.Network == f.Network && p.Version != f.Version {
			names, theirs = append(names, p.Name), p.Version
		}
		if p.Connected && p.Software != f.Software {
			others[p.Software] = append(others[p.Software], p.Name)
		}
	}
	if len(names) > 0 {
		found = append(found, one(VersionMismatch, Error, map[string]any{"protocol": f.Version, "theirs": theirs, "peers": names},
			"install the same release on all nodes", "%s %s protocol version %d, this node %d: they cannot talk",
			list(names), plural(len(names), "speaks", "speak"), theirs, f.Version)...)
	}
	for _, software := range sortedKeys(others) {
		found = append(found, one(VersionMismatch, Notice, map[string]any{"software": f.Software, "theirs": software, "peers": others[software]},
			"nothing while nodes are upgraded one after the other; afterwards install the same release everywhere",
			"%s %s %q, this node %q", list(others[software]), plural(len(others[software]), "runs", "run"), software, f.Software)...)
	}
	return found
}

// twins are two processes with one key.
func twins(f *Facts) []Finding {
	var found []Finding
	var witnesses []string
	var last time.Time
	for i := range f.Peers {
		p := &f.Peers[i]
		if !p.OwnTwin.IsZero() {
			witnesses = append(witnesses, p.Name)
			if p.OwnTwin.After(last) {
				last = p.OwnTwin
			}
		}
		if ago := f.Now.Sub(p.Twin); !p.Twin.IsZero() {
			found = append(found, one(DuplicateKey, twinSeverity(ago), map[string]any{"peer": p.Name, "peerId": string(p.ID), "lastMsAgo": ago.Milliseconds()},
				"find the second process of "+p.Name+" and stop it: a validator that runs twice signs contradictions",
				"two processes use the keys of %s in turn, last %v ago", p.Name, Rounded(ago))...)
		}
	}
	if len(witnesses) > 0 {
		ago := f.Now.Sub(last)
		found = append(found, one(DuplicateKey, twinSeverity(ago), map[string]any{"witnesses": witnesses, "lastMsAgo": ago.Milliseconds()},
			"find the other process with this node's keys (a copied home, an old machine) and stop one of the two at once",
			"%s %s that another process connects with this node's peer id, last %v ago, while this one runs", list(witnesses), plural(len(witnesses), "says", "say"), Rounded(ago))...)
	}
	return found
}

func twinSeverity(ago time.Duration) Severity {
	if ago > twinRecent {
		return Notice
	}
	return Error
}

// accusedRecent is how old the last proof against a validator may be to need somebody.
const accusedRecent = time.Hour

func accusations(f *Facts) []Finding {
	var found []Finding
	for _, a := range f.Accusations {
		ago := f.Now.Sub(a.Last)
		severity := Warning
		if ago > accusedRecent {
			severity = Notice
		} else if a.Own {
			severity = Error
		}
		figures := map[string]any{"validator": a.Name, "proofs": a.Proofs, "firstMs": a.First.UnixMilli(), "lastMs": a.Last.UnixMilli()}
		when := fmt.Sprintf("%d %s kept (at most 16 are), the last one came %v ago", a.Proofs, plural(a.Proofs, "proof is", "proofs are"), Rounded(ago))
		if a.Own {
			found = append(found, one(DuplicateKey, severity, figures,
				"find the other process with this node's keys (a copied home, an old machine) and stop one of the two at once; if there is none, the key is stolen or the safety journal was replaced by an old copy",
				"this node's own key signed votes that exclude each other: %s", when)...)
			continue
		}
		found = append(found, one(Equivocation, severity, figures,
			"have its operator look for a second process with its key, or a stolen key; tercet_evidence has the proofs",
			"%s signed votes that exclude each other: %s", a.Name, when)...)
	}
	return found
}

// peers that are away or useless although nothing above explains it.
func peers(f *Facts) []Finding {
	noQuorum := len(quorum(f)) > 0
	var found []Finding
	for i := range f.Peers {
		p := &f.Peers[i]
		figures := f.peerFigures(p)
		switch {
		case p.incompatible():
		case p.silent(f.Now):
			found = append(found, one(PeerPaused, Warning, figures,
				"look at its process and machine: it may be stopped by a debugger, a hypervisor or SIGSTOP (kill -CONT goes on), or be overloaded",
				"%s is silent: %s", p.Name, f.silence(p))...)
		case p.Refused.After(f.Now):
			figures["refusedMs"] = p.Refused.Sub(f.Now).Milliseconds()
			figures["invalid"] = p.Invalid
			found = append(found, one(PeerRefused, Warning, figures,
				"update or repair that node; it is let in again by itself",
				"%s sent what no honest peer sends (%d times) and is refused for another %v: %s", p.Name, p.Invalid, Rounded(p.Refused.Sub(f.Now)), p.LastError)...)
		case !p.Connected:
			if !noQuorum && f.away(p) > downAfter {
				found = append(found, one(PeerDown, Warning, figures, "start it, or check its address in p2p.peers and the network between",
					"%s is %s", p.Name, f.why(p))...)
			}
		case p.Validator && p.PeerStatus.Since.Before(f.Now.Add(-votelessFor)) && f.Now.Sub(p.LastVote) > votelessFor && p.Since >= voteless:
			figures["voteMsAgo"], figures["blocks"] = f.Now.Sub(p.LastVote).Milliseconds(), p.Since
			found = append(found, one(PeerNotVoting, Warning, figures,
				"ask that node: tercet doctor --rpc URL; it may follow after a loss, be far behind, or have a wrong clock",
				"%s is connected and sent no vote for %v, while %d blocks became final", p.Name, Rounded(f.Now.Sub(p.LastVote)), p.Since)...)
		}
	}
	return found
}

func (f *Facts) silence(p *Peer) string {
	if p.Connected {
		return fmt.Sprintf("it is connected and nothing came from it for %v, not even a keepalive, which is due every 2 s", Rounded(f.Now.Sub(p.heard())))
	}
	return f.why(p)
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
