package invariant

// The promises, by the names that a [ViolationError] has.
const (
	// RuleMalformed and what follows are of [Votes].
	RuleMalformed    = "malformed vote"
	RuleSignature    = "signature"
	RuleUnknownBlock = "unknown block"
	RuleDoubleVote   = "double vote"
	RuleProposal     = "proposal"
	RuleUnjustified  = "unjustified vote"
	RuleUnproven     = "finalize without notarization"
	RuleNotarization = "two notarizations"
	RuleSkipped      = "skipped final block"
	RuleFork         = "fork"
	// RuleNeverFinal is about blocks that were delivered.
	RuleNeverFinal = "never final"
	// RuleCertificate is of [Committee.Certificate], which all use.
	RuleCertificate = "certificate"

	// RuleOrder and what follows are of [Chains].
	RuleOrder     = "delivery order"
	RuleFinality  = "finality"
	RuleAgreement = "agreement"
	RuleHeader    = "header"
	RuleTime      = "time"
	RuleProposer  = "proposer"
	RulePayload   = "payload"
	RuleReceipt   = "lost receipt"
	RuleMadeUp    = "made-up transaction"
	RuleTwice     = "transaction twice"

	// RuleRange and RuleEvidence are of [Committee.Message], which knows those of votes and certificates too.
	RuleRange    = "range"
	RuleEvidence = "false evidence"

	// RuleJournal is of [Journals].
	RuleJournal = "journal"
)

// Rules names every promise that the checkers of this package know.
func Rules() []string {
	return []string{
		RuleMalformed, RuleSignature, RuleUnknownBlock, RuleDoubleVote, RuleUnproven, RuleNotarization, RuleSkipped,
		RuleFork, RuleNeverFinal, RuleCertificate, RuleOrder, RuleFinality, RuleAgreement, RuleHeader, RuleTime,
		RuleProposer, RulePayload, RuleReceipt, RuleMadeUp, RuleTwice, RuleJournal, RuleProposal,
		RuleUnjustified, RuleRange, RuleEvidence,
	}
}
