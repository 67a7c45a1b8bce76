package sim

import "fmt"

// String is the fault as a line of a script.
func (f *Fault) String() string {
	return fmt.Sprintf("%v kind=%d node=%d mask=%b for=%v count=%d %v", f.At, f.Kind, f.Node, f.Mask, f.For, f.Count, f.Retention)
}
