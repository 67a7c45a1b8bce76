package chaos

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

const program = "github.com/tercet-chain/tercet/cmd/tercet"

// Build compiles the program of this module into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "tercet")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, program).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building %s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return binary, nil
}
