package sim

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// callers is where the code under test panicked: functions and lines, without addresses and paths, which
// would differ from one machine to the next.
func callers() string {
	pc := make([]uintptr, 64)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	var b strings.Builder
	for {
		f, more := frames.Next()
		name := path.Base(f.Function)
		if strings.HasPrefix(name, "sim.(*World).handle") || !more {
			return b.String()
		}
		if !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "sim.(*World).guard") {
			fmt.Fprintf(&b, "\n  %s %s:%d", name, path.Base(f.File), f.Line)
		}
	}
}
