package host_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/tercet-chain/tercet/p2p"
	"github.com/tercet-chain/tercet/p2p/host"
)

// cpu returns the processor time of this process so far.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// echo makes host 1 send every frame back on the lane that it came on.
func echo(b *testing.B) []*member {
	b.Helper()
	var members []*member
	members = cluster(b, 2, func(i int, cfg *host.Config) {
		if i == 1 {
			cfg.OnFrame = func(from p2p.PeerID, lane p2p.Lane, data []byte) error {
				members[1].Send(from, lane, data)
				return nil
			}
		}
	})
	return members
}

func BenchmarkHost_Send_roundTrip(b *testing.B) {
	members := echo(b)
	vote := make([]byte, 150)
	b.ReportAllocs()
	began := cpu(b)
	for b.Loop() {
		members[0].Send(members[1].ID(), p2p.LaneVote, vote)
		<-members[0].frames
	}
	b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkHost_Send_voteUnderBulk measures the round trip of a vote while both
// directions are full of bulk.
func BenchmarkHost_Send_voteUnderBulk(b *testing.B) {
	members := cluster(b, 2, func(i int, cfg *host.Config) {
		deliver := cfg.OnFrame
		cfg.OnFrame = func(from p2p.PeerID, lane p2p.Lane, data []byte) error {
			if lane == p2p.LaneVote {
				return deliver(from, lane, data)
			}
			return nil
		}
	})
	stop := make(chan struct{})
	done := make(chan struct{})
	bulk := make([]byte, 1<<20)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if !members[0].Send(members[1].ID(), p2p.LaneBulk, bulk) {
				pause := time.NewTimer(time.Millisecond)
				<-pause.C
			}
		}
	}()
	vote := make([]byte, 150)
	var worst time.Duration
	for b.Loop() {
		began := time.Now()
		members[0].Send(members[1].ID(), p2p.LaneVote, vote)
		<-members[1].frames
		worst = max(worst, time.Since(began))
	}
	b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
	close(stop)
	<-done
}

func BenchmarkHost_Send_throughput(b *testing.B) {
	members := cluster(b, 2, func(_ int, cfg *host.Config) { cfg.Limits.FrameBytes = 1 << 40 })
	frame := make([]byte, 1<<20)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	began := cpu(b)
	window := make(chan struct{}, 8)
	received := make(chan struct{})
	go func() {
		defer close(received)
		for range window {
			<-members[1].frames
		}
	}()
	for b.Loop() {
		window <- struct{}{}
		if !members[0].Send(members[1].ID(), p2p.LaneBulk, frame) {
			b.Fatal("frame not taken")
		}
	}
	close(window)
	<-received
	b.ReportMetric((cpu(b)-began).Seconds()*1e3/float64(b.N), "cpu-ms/MB")
}

func BenchmarkHost_Publish(b *testing.B) {
	members := cluster(b, 4, nil)
	publishUntil(b, members[0], func() bool { return gossiping(b, members, 0) })
	batch := make([]byte, 64<<10)
	for _, m := range members {
		drain(b, m.gossip)
	}
	b.SetBytes(int64(len(batch)))
	began := cpu(b)
	n := uint64(0)
	for b.Loop() {
		n++
		fresh := append([]byte(nil), batch...)
		for i := range 8 {
			fresh[i] = byte(n >> (8 * i))
		}
		if err := members[0].Publish(fresh); err != nil {
			b.Fatal(err)
		}
		for _, m := range members[1:] {
			<-m.gossip
		}
	}
	b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N), "cpu-µs/op")
}
