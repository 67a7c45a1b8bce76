package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Ending is how a command ended.
type Ending struct {
	Code   int // Code is the exit code, -1 after a signal.
	Stderr string
}

// Lines returns what the command itself said on standard error, without the records of its log.
func (e Ending) Lines() []string {
	var lines []string
	for line := range strings.Lines(e.Stderr) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "{") && !strings.HasPrefix(line, "time=") {
			lines = append(lines, line)
		}
	}
	return lines
}

// Command runs the program to its end, which has to come within patience.
func Command(ctx context.Context, patience time.Duration, binary string, args ...string) (Ending, error) {
	p, err := StartProcess(binary, args...)
	if err != nil {
		return Ending{}, err
	}
	ctx, cancel := within(ctx, patience, "tercet "+strings.Join(args, " "))
	defer cancel()
	select {
	case <-p.done:
		return p.ending(), nil
	case <-ctx.Done():
		return p.Kill(), context.Cause(ctx)
	}
}

// Process is a running program whose standard error is kept.
type Process struct {
	PID    int
	cmd    *exec.Cmd
	stderr lockedBuffer
	done   chan struct{} // closed when the process has ended; nobody sends
}

// StartProcess starts the program. Whoever does MUST call [Process.Kill], also when it seems to have
// ended.
func StartProcess(binary string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	p.cmd.Env = os.Environ()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // ProcessState has the result
	}()
	return p, nil
}

// Kill ends the process with SIGKILL if it runs, and says how it ended.
func (p *Process) Kill() Ending {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
	return p.ending()
}

// Ended says how the process ended; false while it runs.
func (p *Process) Ended() (Ending, bool) {
	select {
	case <-p.done:
		return p.ending(), true
	default:
		return Ending{}, false
	}
}

func (p *Process) ending() Ending { return Ending{p.cmd.ProcessState.ExitCode(), p.stderr.String()} }

// Stderr is what the process wrote so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// Answers waits until the node of the process answers the client.
func (p *Process) Answers(ctx context.Context, c *Client) error {
	return Await(ctx, 20*time.Millisecond, func() (bool, error) {
		if e, ended := p.Ended(); ended {
			return false, fmt.Errorf("the node ended with code %d: %s", e.Code, strings.TrimSpace(e.Stderr))
		}
		_, err := c.Head(ctx)
		if err != nil && ctx.Err() != nil {
			return false, errors.Join(context.Cause(ctx), err)
		}
		return err == nil, nil
	})
}

// lockedBuffer is written by a process and read by a test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

// Write implements [io.Writer].
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written so far.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
