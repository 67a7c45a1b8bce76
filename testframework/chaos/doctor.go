package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Verdict is what "tercet doctor --json" says.
type Verdict struct {
	Healthy  bool `json:"healthy"`
	Subjects []struct {
		Subject  string    `json:"subject"`
		Name     string    `json:"name"`
		Findings []Finding `json:"findings"`
	} `json:"subjects"`
	Compared []Finding `json:"compared"`
	// Code is the exit code of the command.
	Code int `json:"-"`
}

// Finding is one thing that the doctor found.
type Finding struct {
	Cause    string         `json:"cause"`
	Severity string         `json:"severity"`
	Text     string         `json:"text"`
	Do       string         `json:"do"`
	Figures  map[string]any `json:"figures"`
}

// All are the findings of all subjects, then those between them.
func (v *Verdict) All() []Finding {
	var list []Finding
	for _, s := range v.Subjects {
		list = append(list, s.Findings...)
	}
	return append(list, v.Compared...)
}

// Found returns the first finding with a cause whose text has all the words; nil without one.
func (v *Verdict) Found(cause string, words ...string) *Finding {
	for _, f := range v.All() {
		all := f.Cause == cause
		for _, w := range words {
			all = all && strings.Contains(f.Text, w)
		}
		if all {
			return &f
		}
	}
	return nil
}

// String implements [fmt.Stringer].
func (v *Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "exit code %d, healthy %v", v.Code, v.Healthy)
	for _, f := range v.All() {
		fmt.Fprintf(&b, "\n  %s %s: %s", f.Severity, f.Cause, f.Text)
	}
	return b.String()
}

// Doctor runs "tercet doctor --json" as a command of its own; prefix, if any, is what it is run under.
func Doctor(ctx context.Context, prefix []string, binary string, args ...string) (*Verdict, error) {
	ctx, cancel := within(ctx, commandPatience, "tercet doctor "+strings.Join(args, " "))
	defer cancel()
	words := append(append(append([]string{}, prefix...), binary, "doctor", "--json"), args...)
	out, err := exec.CommandContext(ctx, words[0], words[1:]...).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("running the doctor: %w", err)
	}
	v := &Verdict{}
	if exit != nil {
		v.Code = exit.ExitCode()
	}
	if err := json.Unmarshal(out, v); err != nil {
		stderr := ""
		if exit != nil {
			stderr = string(exit.Stderr)
		}
		return nil, fmt.Errorf("reading what the doctor says: %w: %s", err, stderr)
	}
	return v, nil
}

// CopyHome copies a node's home, which no process may be using, data included.
func CopyHome(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if target := filepath.Join(to, rest); e.IsDir() {
			return os.MkdirAll(target, 0o700)
		} else if raw, err := os.ReadFile(path); err != nil {
			return err
		} else {
			return os.WriteFile(target, raw, 0o600)
		}
	})
}

// Volume is a small file system that only the processes started through it see: a tmpfs in a mount namespace of
// its own, which lives until Close.
type Volume struct {
	Dir    string // Dir is where it is mounted.
	holder *exec.Cmd
}

// ErrNoVolume says that this machine or user cannot have one.
var ErrNoVolume = errors.New("no private mounts here: they take Linux, root, unshare and nsenter")

// NewVolume mounts a tmpfs of so many bytes on dir. Without the rights for it, it fails with [ErrNoVolume].
func NewVolume(ctx context.Context, dir string, size int64) (*Volume, error) {
	for _, tool := range []string{"unshare", "nsenter", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoVolume, err)
		}
	}
	v := &Volume{Dir: dir}
	// cat keeps the namespace until its input ends.
	script := `mount -t tmpfs -o "size=$1,mode=700" none "$2" && : > "$2/mounted" && exec cat`
	v.holder = exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", fmt.Sprint(size), dir)
	input, err := v.holder.StdinPipe()
	if err == nil {
		err = v.holder.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoVolume, err)
	}
	ended := make(chan struct{}) // closed when the holder has ended; nobody sends
	go func() {
		defer close(ended)
		_ = v.holder.Wait() // that it ended is all there is to know
	}()
	err = Await(ctx, 10*time.Millisecond, func() (bool, error) {
		select {
		case <-ended:
			return false, ErrNoVolume
		default:
		}
		_, err := os.Stat(v.Path(filepath.Join(dir, "mounted")))
		return err == nil, nil
	})
	if err != nil {
		_ = input.Close() // it ends
		return nil, err
	}
	return v, nil
}

// Prefix are the words before a command that is to see the volume.
func (v *Volume) Prefix() []string {
	return []string{"nsenter", "--mount", "--target", fmt.Sprint(v.holder.Process.Pid)}
}

// Path is how this process reaches a file of the volume, whose path is absolute.
func (v *Volume) Path(path string) string {
	return fmt.Sprintf("/proc/%d/root%s", v.holder.Process.Pid, path)
}

// Fill takes room until about so many bytes are left.
func (v *Volume) Fill(name string, left int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(v.Path(v.Dir), &s); err != nil {
		return fmt.Errorf("asking for the room on the volume: %w", err)
	}
	take := int64(s.Bavail)*s.Bsize - left
	f, err := os.Create(v.Path(filepath.Join(v.Dir, name)))
	if err != nil {
		return fmt.Errorf("filling the volume: %w", err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for ; take > 0; take -= int64(len(block)) {
		if _, err := f.Write(block[:min(take, int64(len(block)))]); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return fmt.Errorf("filling the volume: %w", err)
		}
	}
	return nil
}

// Close ends the namespace's holder; the volume goes with the last process that sees it.
func (v *Volume) Close() error {
	if err := v.holder.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending the volume: %w", err)
	}
	return nil
}
