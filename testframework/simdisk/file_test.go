package simdisk_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tercet-chain/tercet/consensus/wal"
	"github.com/tercet-chain/tercet/testframework/simdisk"
)

func open(t *testing.T, d *simdisk.Files, create bool) wal.File {
	t.Helper()
	f, err := d.Open("/d/f", create)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func content(t *testing.T, d *simdisk.Files) []byte {
	t.Helper()
	b := make([]byte, 1<<16)
	n, _ := open(t, d, false).ReadAt(b, 0)
	return b[:n]
}

// synced returns a disk on which 10,000 bytes of 1 are durable and 10,000
// bytes of 2 over them are not.
func synced(t *testing.T, seed uint64) *simdisk.Files {
	t.Helper()
	d := simdisk.NewFiles(seed)
	d.MkdirAll("/d")
	f := open(t, d, true)
	f.WriteAt(bytes.Repeat([]byte{1}, 10000), 0)
	if err := errors.Join(f.Sync(), d.SyncDir("/d")); err != nil {
		t.Fatal(err)
	}
	f.WriteAt(bytes.Repeat([]byte{2}, 10000), 0)
	return d
}

func TestFiles_Reboot(t *testing.T) {
	for _, mode := range simdisk.Retentions() {
		mixed := 0
		for seed := range uint64(50) {
			b := content(t, synced(t, seed).Reboot(mode))
			ones, twos := bytes.Count(b, []byte{1}), bytes.Count(b, []byte{2})
			if len(b) != 10000 || ones+twos != 10000 {
				t.Fatalf("%v: %d bytes with %d old and %d new", mode, len(b), ones, twos)
			}
			if mode == simdisk.LoseUnsynced && twos > 0 {
				t.Errorf("%v: kept %d bytes", mode, twos)
			}
			if p := bytes.LastIndexByte(b, 2); mode == simdisk.KeepPrefix && p+1 != twos {
				t.Errorf("%v: not a prefix", mode)
			}
			if mode == simdisk.TornLastPage && twos < 10000-4096 {
				t.Errorf("%v: lost %d bytes", mode, ones)
			}
			if ones > 0 && twos > 0 {
				mixed++
			}
		}
		if (mode != simdisk.LoseUnsynced) != (mixed > 0) {
			t.Errorf("%v: %d of 50 files are torn", mode, mixed)
		}
	}
}

func TestFiles_FailAt_failedSyncForgets(t *testing.T) {
	d := synced(t, 1)
	d.FailAt(len(d.Ops())+1, simdisk.Fault{Err: simdisk.ErrIO})
	f := open(t, d, false)
	if err := f.Sync(); !errors.Is(err, simdisk.ErrIO) {
		t.Fatalf("got %v", err)
	}
	if b := content(t, d); b[0] != 2 {
		t.Error("pages are not readable after a failed sync")
	}
	if err := f.Sync(); err != nil {
		t.Errorf("second sync: %v", err)
	}
	if b := content(t, d.Reboot(simdisk.TornLastPage)); b[0] != 1 {
		t.Error("pages of a failed sync reached the disk")
	}
}

func TestFiles_FailAt_write(t *testing.T) {
	tests := []struct {
		name   string
		fault  simdisk.Fault
		n      int
		second bool
	}{
		{"EIO once", simdisk.Fault{Err: simdisk.ErrIO}, 0, true},
		{"ENOSPC for good", simdisk.Fault{Err: simdisk.ErrFull, Sticky: true}, 0, false},
		{"short", simdisk.Fault{Short: 3}, 3, true},
		{"short with an error", simdisk.Fault{Err: simdisk.ErrFull, Short: 2}, 2, true},
		{"power off", simdisk.Fault{PowerOff: true}, 4, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := simdisk.NewFiles(1)
			f := open(t, d, true)
			d.FailAt(2, tt.fault)
			n, err := f.WriteAt([]byte("abcd"), 0)
			if n != tt.n || (err != nil) != (tt.fault.Err != nil || tt.fault.PowerOff) {
				t.Errorf("got %d, %v", n, err)
			}
			if _, err := f.WriteAt([]byte("abcd"), 0); (err == nil) != tt.second {
				t.Errorf("second write: %v", err)
			}
		})
	}
}

func TestFiles_Reboot_names(t *testing.T) {
	d := simdisk.NewFiles(1)
	d.MkdirAll("/d")
	f := open(t, d, true)
	f.WriteAt([]byte("x"), 0)
	f.Sync()
	d.SyncDir("/d")
	d.Rename("/d/f", "/d/g")
	after := d.Reboot(simdisk.LoseUnsynced)
	if names, err := after.List("/d"); err != nil || len(names) != 1 || names[0] != "f" {
		t.Errorf("an unsynced rename survived: %v, %v", names, err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, simdisk.ErrPowerOff) {
		t.Errorf("writing after a power failure: %v", err)
	}
}

// TestFiles_FailAt_lost shows a disk that lies: syncs succeed and the power takes what they promised.
func TestFiles_FailAt_lost(t *testing.T) {
	d := synced(t, 1)
	d.FailAt(len(d.Ops())+1, simdisk.Fault{Lost: true, Sticky: true})
	f := open(t, d, false)
	if n, err := f.WriteAt([]byte{3}, 0); n != 1 || err != nil {
		t.Errorf("writing to a disk that lies: %d, %v", n, err)
	}
	d.Rename("/d/f", "/d/g")
	if err := errors.Join(f.Sync(), d.SyncDir("/d")); err != nil || d.Failures() != 0 {
		t.Errorf("syncing a disk that lies: %v, %d failures", err, d.Failures())
	}
	if b := content(t, d.Reboot(simdisk.LoseUnsynced)); len(b) != 10000 || b[0] != 1 {
		t.Errorf("the disk kept %d bytes, the first is %d", len(b), b[0])
	}
}

func TestFiles_Failures(t *testing.T) {
	d := synced(t, 1)
	ops := len(d.Ops())
	d.FailAt(ops+2, simdisk.Fault{Short: 1})
	d.FailAt(ops+3, simdisk.Fault{Err: simdisk.ErrIO})
	d.FailAt(ops+4, simdisk.Fault{Short: 1}) // means nothing to a sync
	d.FailAt(ops+5, simdisk.Fault{Short: 2}) // is all that was to be written
	f := open(t, d, false)
	for i, want := range []int{0, 1, 2, 2, 2} {
		if i < 2 || i == 4 {
			f.WriteAt([]byte("ab"), 0)
		} else {
			f.Sync()
		}
		if got := d.Failures(); got != want {
			t.Errorf("after operation %d: %d failures, want %d", ops+1+i, got, want)
		}
	}
}
