// Package sig signs and checks votes with recoverable secp256k1.
//
// # Model
//
// A signature is r(32) ‖ s(32) ‖ v(1) over a 32-byte digest, with v in {0,1}
// and s in the lower half of the group order, so that each signer has exactly
// one signature for a digest ([Key] signs deterministically, RFC 6979) and a
// contract on an EVM chain can check it with ecrecover. The signer is recovered,
// never assumed: a plain verification ignores v.
//
// [Secp256k1] is the scheme; [Cache] remembers successful recoveries in front
// of any scheme, because the same vote arrives alone, in certificates and in
// the justification of proposals.
//
// # Source
//
// SEC 1 §4.1.6 (recovery), RFC 6979 (nonces), EIP-2 (low s).
package sig
