package diagnosis_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/node/diagnosis"
	"github.com/tercet-chain/tercet/p2p"
)

var now = time.UnixMilli(1_700_000_000_000)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// healthy is what a validator of four knows when all is well.
func healthy() *diagnosis.Facts {
	f := &diagnosis.Facts{
		Now: now, Uptime: time.Hour, Software: "tercet/1", Network: "aa00", Version: 1,
		Validators: 4, Quorum: 3, Validator: true, Voting: true,
		View: 110, Final: 100, Executed: 100, Highest: 100, Still: 300 * time.Millisecond, MaxIdle: time.Second,
		Trend:    diagnosis.Trend{Over: 10 * time.Second, Final: 10, Executed: 10, Highest: 10},
		Pool:     diagnosis.Pool{Transactions: 10, MaxTransactions: 1000, Bytes: 1000, MaxBytes: 1 << 20},
		Disks:    []diagnosis.Disk{{Path: "/data", Free: 50 << 30, Total: 100 << 30}},
		Syncs:    []diagnosis.Syncs{{What: "safety journal", Count: 1024, P50: time.Millisecond, P99: 20 * time.Millisecond, Longest: time.Second, Over: time.Minute}},
		MaxDrift: 500 * time.Millisecond,
	}
	for _, name := range []string{"node2", "node3", "node4"} {
		f.Peers = append(f.Peers, diagnosis.Peer{
			Validator: true, LastVote: ago(time.Second), Since: 1,
			PeerStatus: p2p.PeerStatus{ID: p2p.PeerID("id of " + name), Name: name, Connected: true, Since: ago(50 * time.Minute), Software: "tercet/1", Heard: ago(time.Second)},
		})
		f.Clocks = append(f.Clocks, diagnosis.Clock{Peer: name, Offset: 3 * time.Millisecond, Error: time.Millisecond})
	}
	return f
}

// away disconnects a peer.
func away(f *diagnosis.Facts, i int, how p2p.Reach, since time.Duration) {
	p := &f.Peers[i]
	p.Connected, p.PeerStatus.Since, p.Reach, p.LastError = false, ago(since), how, "dial: no"
}

func TestDiagnose(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*diagnosis.Facts)
		want  []string // "severity cause: part of the text"
	}{
		{"healthy", func(*diagnosis.Facts) {}, nil},
		{"no heartbeats and nothing to do", func(f *diagnosis.Facts) { f.MaxIdle, f.Still = 0, time.Hour }, nil},
		{"a peer that just left", func(f *diagnosis.Facts) { away(f, 0, p2p.ReachRefused, time.Second) }, nil},
		{
			"a peer that left", func(f *diagnosis.Facts) { away(f, 0, p2p.ReachRefused, 30*time.Second) },
			[]string{"warning peer_down: node2 is gone for 30s, nothing listens at its address"},
		},
		{
			"a peer that never came", func(f *diagnosis.Facts) { away(f, 0, p2p.ReachNone, 0); f.Peers[0].PeerStatus.Since = time.Time{} },
			[]string{"warning peer_down: node2 is not connected since this process started, for 1h0m0s, its address does not answer"},
		},
		{
			"a paused peer", func(f *diagnosis.Facts) { f.Peers[1].Heard = ago(6 * time.Second) },
			[]string{"warning peer_paused: node3 is silent: it is connected and nothing came from it for 6s"},
		},
		{
			"a paused peer that was disconnected", func(f *diagnosis.Facts) { away(f, 1, p2p.ReachSilent, time.Second) },
			[]string{"warning peer_paused: node3 is silent: gone for 1s, its machine keeps or accepts connections"},
		},
		{"no quorum", func(f *diagnosis.Facts) {
			away(f, 0, p2p.ReachRefused, 30*time.Second)
			away(f, 2, p2p.ReachNone, 20*time.Second)
		}, []string{"error no_quorum: 2 of the 3 validators that make a quorum are in reach, so no block becomes final; missing: node2 (gone for 30s, nothing listens at its address) and node4 (gone for 20s, its address does not answer)"}},
		{
			"a peer without votes", func(f *diagnosis.Facts) { f.Peers[2].LastVote, f.Peers[2].Since = ago(11*time.Second), 20 },
			[]string{"warning peer_not_voting: node4 is connected and sent no vote for 11s, while 20 blocks became final"},
		},
		{"a silent chain has no votes", func(f *diagnosis.Facts) { f.Peers[2].LastVote, f.Peers[2].Since = ago(time.Minute), 3 }, nil},
		{"a peer that misbehaved", func(f *diagnosis.Facts) {
			away(f, 0, "", time.Second)
			f.Peers[0].Refused, f.Peers[0].Invalid = now.Add(5*time.Second), 16
		}, []string{"warning peer_refused: node2 sent what no honest peer sends (16 times) and is refused for another 5s"}},
		{
			"a peer with another genesis", func(f *diagnosis.Facts) {
				away(f, 0, "", time.Minute)
				f.Peers[0].Network, f.Peers[0].Version = "bb11", 1
			},
			[]string{"error wrong_genesis: node2 runs the network bb11 (first 8 bytes of the genesis hash), this node aa00; 2 peers have this node's"},
		},
		{"another genesis than all", func(f *diagnosis.Facts) {
			for i := range f.Peers {
				away(f, i, "", time.Minute)
				f.Peers[i].Network, f.Peers[i].Version = "bb11", 1
			}
		}, []string{"error wrong_genesis: node2, node3 and node4 run the network bb11 (first 8 bytes of the genesis hash), this node aa00; no peer has this node's, so it is probably this node", "error no_quorum: 1 of the 3"}},
		{
			"another protocol", func(f *diagnosis.Facts) {
				away(f, 0, "", time.Minute)
				f.Peers[0].Network, f.Peers[0].Version = "aa00", 2
			},
			[]string{"error version_mismatch: node2 speaks protocol version 2, this node 1"},
		},
		{
			"another release", func(f *diagnosis.Facts) { f.Peers[0].Software = "tercet/2" },
			[]string{`notice version_mismatch: node2 runs "tercet/2", this node "tercet/1"`},
		},
		{
			"a twin of this node", func(f *diagnosis.Facts) { f.Peers[0].OwnTwin, f.Peers[2].OwnTwin = ago(time.Minute), ago(time.Second) },
			[]string{"error duplicate_key: node2 and node4 say that another process connects with this node's peer id, last 1s ago"},
		},
		{
			"a twin of a peer", func(f *diagnosis.Facts) { f.Peers[0].Twin = ago(time.Second) },
			[]string{"error duplicate_key: two processes use the keys of node2 in turn, last 1s ago"},
		},
		{"a twin long ago", func(f *diagnosis.Facts) { f.Peers[0].Twin = ago(time.Hour) }, []string{"notice duplicate_key: two processes"}},
		{"own contradictions", func(f *diagnosis.Facts) {
			f.Accusations = []diagnosis.Accusation{{Name: "node1", Own: true, Proofs: 2, First: ago(time.Minute), Last: ago(2 * time.Second)}}
		}, []string{"error duplicate_key: this node's own key signed votes that exclude each other: 2 proofs are kept"}},
		{"a peer's contradictions", func(f *diagnosis.Facts) {
			f.Accusations = []diagnosis.Accusation{{Name: "node2", Proofs: 1, First: ago(2 * time.Second), Last: ago(2 * time.Second)}}
		}, []string{"warning equivocation: node2 signed votes that exclude each other: 1 proof is kept"}},
		{"contradictions of the past", func(f *diagnosis.Facts) {
			f.Accusations = []diagnosis.Accusation{{Name: "node2", Proofs: 1, First: ago(48 * time.Hour), Last: ago(48 * time.Hour)}}
		}, []string{"notice equivocation: "}},
		{"a disk that fills", func(f *diagnosis.Facts) { f.Disks[0].Free = 700 << 20 }, []string{"warning disk_low: the disk of /data has 700 MiB of 100 GiB left"}},
		{"a full disk", func(f *diagnosis.Facts) { f.Disks[0].Free = 1 << 20 }, []string{"error disk_full: the disk of /data is full: 1024 KiB of 100 GiB are free"}},
		{"a disk that cannot be asked", func(f *diagnosis.Facts) { f.Disks[0] = diagnosis.Disk{Path: "/data"} }, nil},
		{
			"slow syncs", func(f *diagnosis.Facts) { f.Syncs[0].P50 = 40 * time.Millisecond },
			[]string{"warning slow_fsync: syncing the safety journal takes long: p50 40ms, p99 20ms, longest 1s, of the last 1024 in 1m0s"},
		},
		{"a slow tail", func(f *diagnosis.Facts) { f.Syncs[0].P99 = 600 * time.Millisecond }, []string{"warning slow_fsync: "}},
		{"few slow syncs", func(f *diagnosis.Facts) { f.Syncs[0].P50, f.Syncs[0].Count = time.Second, 9 }, nil},
		{
			"behind and catching up", func(f *diagnosis.Facts) {
				f.Highest, f.Trend.Final, f.Trend.Highest, f.BehindFor = 1100, 1010, 10, time.Minute
				f.CatchingUp = true
			},
			[]string{"warning behind: this node is 1000 blocks behind (100 of 1100), and gets closer by 100 blocks a second: about 10s to go"},
		},
		{
			"behind for good", func(f *diagnosis.Facts) {
				f.Highest, f.Trend.Final, f.Still, f.BehindFor = 1100, 0, time.Hour, time.Hour
			},
			[]string{"warning behind: this node is 1000 blocks behind (100 of 1100), and does not get closer"},
		},
		{
			"slow execution", func(f *diagnosis.Facts) { f.Lag, f.Executed, f.LagFor = 50, 50, time.Minute; f.Trend.Executed = 5 },
			[]string{"warning execution_lag: execution is 50 blocks behind ordering (50 of 100) and does 0.5 blocks a second; ordering 1.0"},
		},
		{"behind for a moment", func(f *diagnosis.Facts) {
			f.Highest, f.Final, f.Lag, f.BehindFor, f.LagFor = 200, 150, 50, time.Second, time.Second
		}, nil},
		{
			"a chain that stands", func(f *diagnosis.Facts) { f.Still = 12 * time.Second },
			[]string{"error stalled: no block became final for 12s (height 100, view 110), although a quorum is connected"},
		},
		{"transactions that wait without heartbeats", func(f *diagnosis.Facts) { f.MaxIdle, f.Still, f.Pool.Pending = 0, 12*time.Second, 1 }, []string{"error stalled: "}},
		{
			"a full pool", func(f *diagnosis.Facts) { f.Pool.Transactions, f.Pool.Pending = 990, 100 },
			[]string{"warning pool_full: the transaction pool is full: 990 of 1000 transactions, 1000 bytes of 1024 KiB, 100 of them ready"},
		},
		{"a failed write", func(f *diagnosis.Facts) { f.StorageFault = "disk: I/O error" }, []string{"error storage_fault: a write failed and the node stops: disk: I/O error"}},
		{"another result", func(f *diagnosis.Facts) { f.Quarantine = "block 7 was executed differently" }, []string{"error quarantined: block 7 was executed differently"}},
		{"a follower", func(f *diagnosis.Facts) { f.Voting, f.Follows = false, "it follows until view 130" }, []string{"warning not_voting: "}},
		{"a replica does not vote", func(f *diagnosis.Facts) { f.Validator, f.Voting = false, false }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := healthy()
			tc.spoil(f)
			expect(t, diagnosis.Diagnose(f), tc.want)
		})
	}
}

// expect wants one finding for each beginning, in order, each with what to do and figures that JSON can carry.
func expect(t *testing.T, found []diagnosis.Finding, want []string) {
	t.Helper()
	var got []string
	for _, x := range found {
		got = append(got, string(x.Severity)+" "+string(x.Cause)+": "+x.Text)
		if x.Do == "" || len(x.Figures) == 0 {
			t.Errorf("%s says %q to do and has the figures %v", x.Cause, x.Do, x.Figures)
		}
		if _, err := json.Marshal(x); err != nil {
			t.Error(err)
		}
	}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCompareClocks(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name    string
		offsets []time.Duration // of the others from our own
		want    []string
	}{
		{"nobody", nil, nil},
		{"one agrees", []time.Duration{0}, nil},
		{"one does not", []time.Duration{30 * s}, []string{"error clock_skew: the clock of a is 30s (±1ms) ahead of that of this node; which of the two is wrong cannot be told"}},
		{"ours is behind", []time.Duration{30 * s, 30 * s, 30 * s}, []string{"error clock_skew: the clock of this node is 30s (±1ms) behind the median of the 4"}},
		{"ours is ahead", []time.Duration{-30 * s, -30 * s, -30 * s}, []string{"error clock_skew: the clock of this node is 30s (±1ms) ahead of the median"}},
		{"a liar says that ours is wrong", []time.Duration{0, 500 * s, 0}, []string{"warning clock_skew: the clock of b is 8m20s (±2ms) ahead of the median"}},
		{
			"a liar hides that ours is wrong",
			[]time.Duration{30 * s, 0, 30 * s, 30 * s, 30 * s, 30 * s},
			[]string{"error clock_skew: the clock of this node is 30s (±1ms) behind", "warning clock_skew: the clock of b is 30s (±2ms) behind"},
		},
		{"within half of what is allowed", []time.Duration{240 * time.Millisecond, -240 * time.Millisecond, 0}, nil},
		{"ours is a little off", []time.Duration{400 * time.Millisecond, 400 * time.Millisecond, 400 * time.Millisecond}, []string{"warning clock_skew: the clock of this node is 400ms"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var known []diagnosis.Clock
			for i, o := range tc.offsets {
				known = append(known, diagnosis.Clock{Peer: string(rune('a' + i)), Offset: o, Error: time.Millisecond})
			}
			expect(t, diagnosis.CompareClocks("this node", known, 500*time.Millisecond), tc.want)
		})
	}
	slow := []diagnosis.Clock{{Peer: "a", Offset: 2 * s, Error: 3 * s}, {Peer: "b", Offset: 2 * s, Error: 3 * s}}
	if found := diagnosis.CompareClocks("this node", slow, s/2); len(found) > 0 {
		t.Errorf("answers that may be 3 s off prove nothing, got %v", found)
	}
}
