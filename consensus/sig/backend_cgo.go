//go:build !nacl && !js && !wasip1 && cgo && !gofuzz && !tinygo

package sig

// Backend names what does the arithmetic, for logs and reports: recovering
// takes four times as long in pure Go.
func Backend() string { return "libsecp256k1" }
