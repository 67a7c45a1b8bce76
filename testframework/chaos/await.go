package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Await calls done at once and then every interval until it answers true or an error, or ctx ends. It
// is the one way to wait for something that another process does.
func Await(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// Pause waits for a time, for tests whose subject is that time passes. It ends early when ctx does.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// within bounds what follows and says in its error what took too long.
func within(ctx context.Context, d time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("%s took longer than %v: %w", what, d, errTooLong))
}

// errTooLong is wrapped by the errors of waits that reached their bound.
var errTooLong = errors.New("gave up waiting")
