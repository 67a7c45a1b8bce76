package p2p_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/tercet-chain/tercet/p2p"
)

// encode cuts frame into chunks.
func encode(dst []byte, lane p2p.Lane, frame []byte) []byte {
	for sent := 0; sent < len(frame); {
		var n int
		dst, n = p2p.AppendChunk(dst, lane, frame, sent)
		sent += n
	}
	return dst
}

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)*3 + byte(i>>8) + seed
	}
	return b
}

func TestAppendChunk_golden(t *testing.T) {
	long := pattern(p2p.MaxChunk+2, 0)
	first, sent := p2p.AppendChunk(nil, p2p.LaneSync, long, 0)
	last, _ := p2p.AppendChunk(nil, p2p.LaneSync, long, sent)
	vote, _ := p2p.AppendChunk(nil, p2p.LaneVote, []byte{1, 2, 3}, 0)
	proposal, _ := p2p.AppendChunk(nil, p2p.LaneProposal, []byte{4}, 0)
	for _, tc := range []struct {
		name      string
		got, want string
	}{
		{"one chunk of lane 0", hex.EncodeToString(vote), "00000003" + "010203"},
		{"one chunk of lane 2", hex.EncodeToString(proposal), "20000001" + "04"},
		{"the first of two", hex.EncodeToString(first), "b0008000" + "00008002" + hex.EncodeToString(long[:p2p.MaxChunk])},
		{"the last of two", hex.EncodeToString(last), "30000002" + hex.EncodeToString(long[p2p.MaxChunk:])},
		{"keepalive", hex.EncodeToString(p2p.AppendKeepalive(nil)), "70000000"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %.40s… of %d digits, want %.40s… of %d", tc.name, tc.got, len(tc.got), tc.want, len(tc.want))
		}
	}
}

func TestDecoder_Next_readsWhatWasWritten(t *testing.T) {
	type frame struct {
		lane p2p.Lane
		data []byte
	}
	var want []frame
	var stream []byte
	for lane := range p2p.Lane(p2p.Lanes) {
		for _, size := range []int{1, 150, 4096, p2p.MaxChunk - 1, p2p.MaxChunk, p2p.MaxChunk + 1, 2 * p2p.MaxChunk, 1 << 20, lane.MaxFrame()} {
			if size > lane.MaxFrame() {
				continue
			}
			f := frame{lane, pattern(size, byte(lane))}
			want = append(want, f)
			stream = encode(stream, lane, f.data)
			stream = p2p.AppendKeepalive(stream)
		}
	}
	for _, reader := range []struct {
		name string
		wrap func(io.Reader) io.Reader
	}{{"whole", func(r io.Reader) io.Reader { return r }}, {"halves", iotest.HalfReader}} {
		t.Run(reader.name, func(t *testing.T) {
			d := p2p.NewDecoder(reader.wrap(bytes.NewReader(stream)))
			for i, f := range want {
				lane, got, err := d.Next()
				if err != nil || lane != f.lane || !bytes.Equal(got, f.data) {
					t.Fatalf("frame %d: got %d bytes on %v, %v; want %d on %v", i, len(got), lane, err, len(f.data), f.lane)
				}
				if lane, got, err := d.Next(); lane != p2p.Keepalive || got != nil || err != nil {
					t.Fatalf("keepalive %d: got %d bytes on %v, %v", i, len(got), lane, err)
				}
			}
			if _, _, err := d.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("at the end: %v, want io.EOF", err)
			}
		})
	}
}

func TestDecoder_Next_mixesLanes(t *testing.T) {
	bulk, vote := pattern(3*p2p.MaxChunk, 1), pattern(150, 2)
	stream, sent := p2p.AppendChunk(nil, p2p.LaneBulk, bulk, 0)
	stream = encode(stream, p2p.LaneVote, vote)
	for sent < len(bulk) {
		var n int
		stream, n = p2p.AppendChunk(stream, p2p.LaneBulk, bulk, sent)
		sent += n
	}
	d := p2p.NewDecoder(bytes.NewReader(stream))
	if lane, got, err := d.Next(); lane != p2p.LaneVote || !bytes.Equal(got, vote) || err != nil {
		t.Fatalf("first: %d bytes on %v, %v", len(got), lane, err)
	}
	if lane, got, err := d.Next(); lane != p2p.LaneBulk || !bytes.Equal(got, bulk) || err != nil {
		t.Fatalf("second: %d bytes on %v, %v", len(got), lane, err)
	}
}

func TestDecoder_Next_refusesWhatNoPeerSends(t *testing.T) {
	full := string(make([]byte, p2p.MaxChunk))
	overVote := "\x00\x00\x10\x01" + string(make([]byte, 4097))
	for _, test := range []struct {
		name, stream string
		want         error
	}{
		{"empty frame", "\x00\x00\x00\x00", p2p.ErrInvalid},
		{"lane 5", "\x50\x00\x00\x01x", p2p.ErrInvalid},
		{"lane 6", "\x60\x00\x00\x00", p2p.ErrInvalid},
		{"keepalive with data", "\x70\x00\x00\x01x", p2p.ErrInvalid},
		{"keepalive with more", "\xf0\x00\x00\x00", p2p.ErrInvalid},
		{"chunk too long", "\x40\x00\x80\x01" + full + "x", p2p.ErrInvalid},
		{"length of 28 bits", "\x4f\xff\xff\xff", p2p.ErrInvalid},
		{"vote over its limit", overVote, p2p.ErrInvalid},
		{"vote in chunks", "\x80\x00\x80\x00" + full, p2p.ErrInvalid},
		{"short chunk with more", "\xc0\x00\x7f\xff" + full, p2p.ErrInvalid},
		{"short chunk with more to come", "\xc0\x00\x7f\xff\x00\x01\x00\x00" + full, p2p.ErrInvalid},
		{"certificate over its limit", "\x90\x00\x80\x00\x00\x01\x00\x01" + full, p2p.ErrInvalid},
		{"total that needs no chunks", "\x90\x00\x80\x00\x00\x00\x80\x00" + full, p2p.ErrInvalid},
		{"more than announced", "\x90\x00\x80\x00\x00\x00\x80\x01" + full + "\x10\x00\x00\x02xx", p2p.ErrInvalid},
		{"less than announced", "\x90\x00\x80\x00\x00\x00\x80\x02" + full + "\x10\x00\x00\x01x", p2p.ErrInvalid},
		{"no end where announced", "\x90\x00\x80\x00\x00\x00\x80\x01" + full + "\x90\x00\x00\x01x", p2p.ErrInvalid},
		{"end before the total", "\x90\x00\x80\x00", io.ErrUnexpectedEOF},
		{"end in a header", "\x40\x00", io.ErrUnexpectedEOF},
		{"end after a header", "\x40\x00\x00\x02", io.ErrUnexpectedEOF},
		{"end in a chunk", "\x40\x00\x00\x02x", io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			if lane, got, err := p2p.NewDecoder(bytes.NewReader([]byte(test.stream))).Next(); !errors.Is(err, test.want) || got != nil {
				t.Errorf("got %d bytes on %v, %v; want %v", len(got), lane, err, test.want)
			}
		})
	}
}

// A length that was announced must not cost memory before the bytes arrive.
func TestDecoder_Next_allocatesAsBytesArrive(t *testing.T) {
	stream := encode(nil, p2p.LaneSync, make([]byte, 8<<20))[:p2p.MaxChunk+20]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, _, err := p2p.NewDecoder(bytes.NewReader(stream)).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 100; each > 10*p2p.MaxChunk {
		t.Errorf("%d bytes allocated for %d received", each, len(stream))
	}
}

func TestCheckFrame_limits(t *testing.T) {
	for lane := range p2p.Lane(p2p.Lanes) {
		if err := p2p.CheckFrame(lane, make([]byte, lane.MaxFrame())); err != nil {
			t.Errorf("lane %v: %v", lane, err)
		}
		if err := p2p.CheckFrame(lane, make([]byte, lane.MaxFrame()+1)); !errors.Is(err, p2p.ErrInvalid) {
			t.Errorf("lane %v, one byte too many: %v", lane, err)
		}
	}
	if err := p2p.CheckFrame(p2p.LaneVote, nil); !errors.Is(err, p2p.ErrInvalid) {
		t.Errorf("empty frame: %v", err)
	}
	for _, lane := range []p2p.Lane{p2p.Lanes, p2p.Keepalive, 255} {
		if err := p2p.CheckFrame(lane, []byte{1}); !errors.Is(err, p2p.ErrInvalid) {
			t.Errorf("%v: %v", lane, err)
		}
	}
}

// FuzzDecoder checks that garbage after any number of full chunks does no harm,
// and that what is read is written back as the same bytes.
func FuzzDecoder(f *testing.F) {
	f.Add(uint8(0), uint8(0), encode(nil, p2p.LaneVote, []byte("vote")))
	f.Add(uint8(1), uint8(p2p.LaneBulk), p2p.AppendKeepalive(encode(nil, p2p.LaneBulk, []byte("rest"))))
	full := make([]byte, p2p.MaxChunk+1)
	f.Fuzz(func(t *testing.T, chunks, lane uint8, tail []byte) {
		var stream []byte
		for range chunks % 4 {
			stream, _ = p2p.AppendChunk(stream, p2p.Lane(lane%p2p.Lanes), full, 0)
		}
		stream = append(stream, tail...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := p2p.NewDecoder(bytes.NewReader(stream))
		var again []byte
		for {
			lane, frame, err := d.Next()
			if err != nil {
				if !errors.Is(err, p2p.ErrInvalid) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("got %v, neither the reader's nor ErrInvalid", err)
				}
				break
			}
			if lane == p2p.Keepalive {
				again = p2p.AppendKeepalive(again)
				continue
			}
			if err := p2p.CheckFrame(lane, frame); err != nil {
				t.Fatalf("the decoder returned a frame that cannot be sent: %v", err)
			}
			again = encode(again, lane, frame)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 256<<10+16*uint64(len(stream)) {
			t.Fatalf("%d bytes allocated for %d received", n, len(stream))
		}
		if len(again) > len(stream) {
			t.Fatalf("%d bytes read from a stream of %d", len(again), len(stream))
		}
		if chunks%4 == 0 && len(tail) <= p2p.MaxChunk && !bytes.Equal(again, stream[:len(again)]) {
			t.Fatal("read and written again, the stream differs")
		}
	})
}

func BenchmarkDecoder_Next(b *testing.B) {
	for _, size := range []int{150, 1 << 20} {
		name := map[int]string{150: "size=150B", 1 << 20: "size=1MiB"}[size]
		lane := map[int]p2p.Lane{150: p2p.LaneVote, 1 << 20: p2p.LaneBulk}[size]
		b.Run(name, func(b *testing.B) {
			stream := encode(nil, lane, pattern(size, 0))
			r := bytes.NewReader(stream)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(stream)
				if _, _, err := p2p.NewDecoder(r).Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
