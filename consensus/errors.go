package consensus

import (
	"errors"
	"fmt"
)

// ErrInvalid marks input that no honest peer sends; whoever sent it pays.
var ErrInvalid = errors.New("invalid")

// ErrEpoch marks a message of another epoch: not wrong, but not for this Core.
var ErrEpoch = errors.New("message of another epoch")

func invalid(what string, err error) error {
	return fmt.Errorf("%w %s: %w", ErrInvalid, what, err)
}

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
