package rpc

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	gethrpc "github.com/ethereum/go-ethereum/rpc"
)

const (
	// maxFeeHistory bounds the blocks of one eth_feeHistory, maxPercentiles its reward columns.
	maxFeeHistory  = 1024
	maxPercentiles = 100
)

// GasPrice is 0: gas is a limit, not a price.
func (e *ethAPI) GasPrice() *hexutil.Big { return zero() }

// MaxPriorityFeePerGas is 0.
func (e *ethAPI) MaxPriorityFeePerGas() *hexutil.Big { return zero() }

// BlobBaseFee is 0: there are no blobs.
func (e *ethAPI) BlobBaseFee() *hexutil.Big { return zero() }

type feeHistoryJSON struct {
	OldestBlock  *hexutil.Big     `json:"oldestBlock"`
	Reward       [][]*hexutil.Big `json:"reward,omitempty"`
	BaseFee      []*hexutil.Big   `json:"baseFeePerGas"`
	GasUsedRatio []float64        `json:"gasUsedRatio"`
}

// FeeHistory has the real use of gas and zero fees.
func (e *ethAPI) FeeHistory(blocks math.HexOrDecimal64, newest gethrpc.BlockNumber, rewardPercentiles *[]float64) (*feeHistoryJSON, error) {
	var percentiles []float64
	if rewardPercentiles != nil {
		percentiles = *rewardPercentiles
	}
	if len(percentiles) > maxPercentiles {
		return nil, fmt.Errorf("invalid reward percentile: over the query limit %d", maxPercentiles)
	}
	for i, p := range percentiles {
		if p < 0 || p > 100 {
			return nil, fmt.Errorf("invalid reward percentile: %f", p)
		}
		if i > 0 && p <= percentiles[i-1] {
			return nil, fmt.Errorf("invalid reward percentile: #%d:%f >= #%d:%f", i-1, percentiles[i-1], i, p)
		}
	}
	head := e.s.head().Header.Number.Uint64()
	last := e.s.height(newest)
	if last > head {
		return nil, fmt.Errorf("%w: requested %d, head %d", errBeyondHead, last, head)
	}
	n := min(uint64(blocks), maxFeeHistory, last+1)
	out := &feeHistoryJSON{OldestBlock: (*hexutil.Big)(new(big.Int).SetUint64(last + 1 - n)), BaseFee: []*hexutil.Big{}, GasUsedRatio: []float64{}}
	if n == 0 {
		out.OldestBlock = zero()
		return out, nil
	}
	for height := last + 1 - n; height <= last; height++ {
		ratio, err := e.s.gasUsedRatio(height)
		if err != nil {
			return nil, err
		}
		out.GasUsedRatio = append(out.GasUsedRatio, ratio)
		out.BaseFee = append(out.BaseFee, zero())
		if len(percentiles) > 0 {
			row := make([]*hexutil.Big, len(percentiles))
			for i := range row {
				row[i] = zero()
			}
			out.Reward = append(out.Reward, row)
		}
	}
	out.BaseFee = append(out.BaseFee, zero())
	return out, nil
}

var errBeyondHead = errors.New("request beyond head block")

func (s *Server) gasUsedRatio(height uint64) (float64, error) {
	header, err := s.header(height)
	if err != nil {
		return 0, err
	}
	return float64(header.GasUsed) / float64(header.GasLimit), nil
}
