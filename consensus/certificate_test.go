package consensus_test

import (
	"bytes"
	"errors"
	"math/bits"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/tercet-chain/tercet/consensus"
)

// incident 15: certificates with duplicate or unauthorized signers.
func TestIncident15_certificates(t *testing.T) {
	hash := common.Hash{7}
	for name, c := range map[string]struct {
		n      int
		change func(r *rig, c *consensus.Cert)
		valid  bool
	}{
		"a quorum":         {4, func(*rig, *consensus.Cert) {}, true},
		"everybody":        {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(c.Kind, c.View, c.Hash, 0, 1, 2, 3) }, true},
		"nine validators":  {9, func(*rig, *consensus.Cert) {}, true},
		"below the quorum": {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(c.Kind, c.View, c.Hash, 0, 1) }, false},
		"nobody":           {4, func(_ *rig, c *consensus.Cert) { c.Bitmap, c.Sigs = []byte{0}, nil }, false},
		"no bitmap":        {4, func(_ *rig, c *consensus.Cert) { c.Bitmap = nil }, false},
		"longer bitmap":    {4, func(_ *rig, c *consensus.Cert) { c.Bitmap = append(c.Bitmap, 0) }, false},
		"shorter bitmap":   {9, func(_ *rig, c *consensus.Cert) { c.Bitmap = c.Bitmap[:1] }, false},
		"bit beyond n":     {4, func(_ *rig, c *consensus.Cert) { c.Bitmap[0] = 0b10011 }, false},
		"last bit set": {4, func(_ *rig, c *consensus.Cert) {
			c.Bitmap[0] |= 0x80
			c.Sigs = append(c.Sigs, c.Sigs[:65]...)
		}, false},
		"one signature less": {4, func(_ *rig, c *consensus.Cert) { c.Sigs = c.Sigs[65:] }, false},
		"one signature more": {4, func(_ *rig, c *consensus.Cert) { c.Sigs = append(c.Sigs, c.Sigs[:65]...) }, false},
		"half a signature":   {4, func(_ *rig, c *consensus.Cert) { c.Sigs = c.Sigs[:len(c.Sigs)-1] }, false},
		"one signed thrice":  {4, func(_ *rig, c *consensus.Cert) { copy(c.Sigs[65:], c.Sigs[:65]); copy(c.Sigs[130:], c.Sigs[:65]) }, false},
		"in another order":   {4, func(_ *rig, c *consensus.Cert) { c.Sigs = append(bytes.Clone(c.Sigs[65:]), c.Sigs[:65]...) }, false},
		"shifted bitmap":     {4, func(_ *rig, c *consensus.Cert) { c.Bitmap[0] <<= 1 }, false},
		"a stranger's": {4, func(r *rig, c *consensus.Cert) {
			s := sign(common.Address{1}, consensus.Digest(genesis, c.Kind, 0, c.View, c.Hash))
			copy(c.Sigs, s[:])
		}, false},
		"another view":        {4, func(_ *rig, c *consensus.Cert) { c.View++ }, false},
		"another hash":        {4, func(_ *rig, c *consensus.Cert) { c.Hash[0]++ }, false},
		"another kind":        {4, func(_ *rig, c *consensus.Cert) { c.Kind = consensus.Finalize }, false},
		"no kind":             {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(0, c.View, c.Hash) }, false},
		"a fourth kind":       {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(4, c.View, c.Hash) }, false},
		"view 0":              {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(c.Kind, 0, c.Hash) }, false},
		"view 2^62":           {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(c.Kind, 1<<62, c.Hash) }, true},
		"a view that wraps":   {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(c.Kind, 1<<64-1, c.Hash) }, false},
		"nullified hash":      {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(consensus.Nullify, c.View, c.Hash) }, false},
		"notarized no hash":   {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(consensus.Notarize, c.View, common.Hash{}) }, false},
		"finalized no hash":   {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(consensus.Finalize, c.View, common.Hash{}) }, false},
		"nullification":       {4, func(r *rig, c *consensus.Cert) { *c = *r.cert(consensus.Nullify, c.View, common.Hash{}) }, true},
		"two thirds of six":   {6, func(r *rig, c *consensus.Cert) { *c = *r.cert(c.Kind, c.View, c.Hash, 0, 2, 5) }, false},
		"the quorum of six":   {6, func(r *rig, c *consensus.Cert) { *c = *r.cert(c.Kind, c.View, c.Hash, 0, 2, 4, 5) }, true},
		"one validator alone": {1, func(*rig, *consensus.Cert) {}, true},
	} {
		r := newRig(t, c.n, -1, 1, 0)
		cert := r.cert(consensus.Notarize, 5, hash)
		c.change(r, cert)
		_, err := r.v.Verify(cert)
		if c.valid != (err == nil) || (err != nil && !errors.Is(err, consensus.ErrInvalid)) {
			t.Errorf("%s: got %v, want valid=%v", name, err, c.valid)
		}
	}
	r := newRig(t, 4, -1, 1, 0)
	other := r.cert(consensus.Notarize, 5, hash)
	other.Epoch = 1
	if _, err := r.v.Verify(other); !errors.Is(err, consensus.ErrEpoch) {
		t.Errorf("another epoch: got %v, want ErrEpoch", err)
	}
}

func TestVerifier_messages(t *testing.T) {
	r := newRig(t, 4, -1, 1, 0)
	first := r.block(1, nil, nil)
	second := r.block(2, first, nil)
	hash := first.Hash()
	fin := r.cert(consensus.Finalize, 2, second.Hash())
	notar := r.cert(consensus.Notarize, 1, hash)
	with := func(p *consensus.Proposal, change func(p *consensus.Proposal)) *consensus.Proposal {
		q := &consensus.Proposal{Block: p.Block, Justify: p.Justify, LeaderVote: p.LeaderVote}
		change(q)
		return q
	}
	vote := func(change func(v *consensus.Vote)) *consensus.Vote {
		v := r.vote(consensus.Notarize, 1, hash, 1)
		change(v)
		return v
	}
	for name, m := range map[string]consensus.Message{
		"vote for view 0":          r.vote(consensus.Notarize, 0, hash, 1),
		"vote for a wrapping view": r.vote(consensus.Nullify, 1<<64-1, common.Hash{}, 1),
		"vote of a stranger":       vote(func(v *consensus.Vote) { v.Signer = 4 }),
		"vote of another":          vote(func(v *consensus.Vote) { v.Signer = 2 }),
		"vote for nothing":         r.vote(consensus.Finalize, 1, common.Hash{}, 1),
		"nullify of something":     r.vote(consensus.Nullify, 1, hash, 1),
		"vote without kind":        r.vote(0, 1, hash, 1),
		"other payload":            with(first, func(p *consensus.Proposal) { p.Block.Payload = []byte("other") }),
		"other header":             with(first, func(p *consensus.Proposal) { p.Block.Header.TimeMs++ }),
		"other leader":             with(first, func(p *consensus.Proposal) { p.LeaderVote = *r.vote(consensus.Notarize, 1, hash, 1) }),
		"other kind of vote":       with(first, func(p *consensus.Proposal) { p.LeaderVote = *r.vote(consensus.Finalize, 1, hash, 0) }),
		"other view of vote":       with(first, func(p *consensus.Proposal) { p.LeaderVote = *r.vote(consensus.Notarize, 5, hash, 0) }),
		"view 0":                   r.block(4, nil, func(b *consensus.Block) { b.Header.View = 0 }),
		"parent is a finalization": with(second, func(p *consensus.Proposal) { p.Justify.Parent = fin }),
		"finalization notarizes":   with(second, func(p *consensus.Proposal) { p.Justify.Finalization = notar }),
		"nullified by notar":       with(second, func(p *consensus.Proposal) { p.Justify.Nullifications = []*consensus.Cert{notar} }),
		"false nullification": with(second, func(p *consensus.Proposal) {
			p.Justify.Nullifications = []*consensus.Cert{r.cert(consensus.Nullify, 1, common.Hash{}, 1, 2)}
		}),
		"answer with a bad cert":   &consensus.CertResponse{Certs: []*consensus.Cert{notar, r.cert(consensus.Notarize, 1, hash, 1)}},
		"status beyond all views":  &consensus.Status{View: 1 << 63},
		"final view beyond all":    &consensus.Status{FinView: 1<<64 - 1},
		"request beyond all views": &consensus.CertRequest{From: 1<<64 - 1, To: 1<<64 - 1},
		"evidence of nothing":      &consensus.Evidence{A: *r.vote(consensus.Notarize, 1, hash, 1), B: *r.vote(consensus.Notarize, 2, common.Hash{2}, 1)},
		"evidence of two signers":  &consensus.Evidence{A: *r.vote(consensus.Notarize, 1, hash, 1), B: *r.vote(consensus.Notarize, 1, common.Hash{2}, 2)},
		"forged evidence":          &consensus.Evidence{A: *r.vote(consensus.Notarize, 1, hash, 1), B: *vote(func(v *consensus.Vote) { v.Hash = common.Hash{2} })},
		"range without proof":      &consensus.BlockResponse{Blocks: []*consensus.Block{&first.Block}},
		"range with another proof": &consensus.BlockResponse{Blocks: []*consensus.Block{&first.Block}, Finalization: fin},
		"range with a hole":        &consensus.BlockResponse{Blocks: []*consensus.Block{&second.Block, &second.Block}, Finalization: fin},
		"range in reverse":         &consensus.BlockResponse{Blocks: []*consensus.Block{&second.Block, &first.Block}, Finalization: r.cert(consensus.Finalize, 1, hash)},
		"range with other payload": &consensus.BlockResponse{Blocks: []*consensus.Block{{Header: second.Block.Header}}, Finalization: fin},
		"headers with a hole":      &consensus.BlockResponse{Blocks: []*consensus.Block{&second.Block}, Headers: []*consensus.Header{&second.Block.Header}, Finalization: fin},
		"only a finalization":      &consensus.BlockResponse{Finalization: fin},
		"range that is notarized":  &consensus.BlockResponse{Blocks: []*consensus.Block{&first.Block}, Finalization: notar},
	} {
		if err := r.try(1, m); !errors.Is(err, consensus.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	for name, m := range map[string]consensus.Message{
		"justified": with(second, func(p *consensus.Proposal) { p.Justify.Parent = notar }),
		"range":     &consensus.BlockResponse{Blocks: []*consensus.Block{&first.Block, &second.Block}, Finalization: fin},
		"headers":   &consensus.BlockResponse{Blocks: []*consensus.Block{&first.Block}, Headers: []*consensus.Header{&second.Block.Header}, Finalization: fin},
	} {
		if err := r.try(1, m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzVerifier_certificate: what is accepted has, counted by other means, a
// quorum of distinct validators whose signatures are right.
func FuzzVerifier_certificate(f *testing.F) {
	r := newRig(f, 9, -1, 1, 0)
	hash := common.Hash{7}
	for _, c := range []*consensus.Cert{r.cert(consensus.Notarize, 5, hash), r.cert(consensus.Nullify, 1, common.Hash{}, 2, 3, 4, 5, 6, 7, 8), r.cert(consensus.Finalize, 9, hash, 0, 1, 2)} {
		f.Add(byte(c.Kind), c.View, c.Hash[:], c.Bitmap, c.Sigs, -1)
		f.Add(byte(c.Kind), c.View, c.Hash[:], append(bytes.Clone(c.Bitmap), 0), c.Sigs, 3)
	}
	f.Fuzz(func(t *testing.T, kind byte, view uint64, hash, bitmap, sigs []byte, sign int) {
		c := &consensus.Cert{Kind: consensus.Kind(kind), View: view, Hash: common.BytesToHash(hash), Bitmap: bitmap, Sigs: sigs}
		if sign >= 0 { // Right signatures for whatever the bitmap says, one left out or added.
			c.Sigs = nil
			for _, i := range c.Signers() {
				v := r.vote(c.Kind, view, c.Hash, i%9)
				c.Sigs = append(c.Sigs, v.Sig[:]...)
			}
			if sign%4 == 1 && len(c.Sigs) > 0 {
				c.Sigs = c.Sigs[65:]
			}
		}
		_, err := r.v.Verify(c)
		if err != nil {
			if !errors.Is(err, consensus.ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
			return
		}
		count := 0
		for i := range 9 {
			if bitmap[i/8]>>(i%8)&1 == 1 {
				if v := r.vote(c.Kind, view, c.Hash, i); !bytes.Equal(v.Sig[:], c.Sigs[count*65:count*65+65]) {
					t.Fatalf("validator %d did not sign", i)
				}
				count++
			}
		}
		if count < 6 || len(c.Sigs) != count*65 || len(bitmap) != 2 || bits.OnesCount8(bitmap[0])+bits.OnesCount8(bitmap[1]) != count {
			t.Fatalf("accepted %d signers, bitmap %x, %d signature bytes", count, bitmap, len(c.Sigs))
		}
	})
}
