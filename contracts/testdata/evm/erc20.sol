// SPDX-License-Identifier: MIT
// The same transfer as vm/testdata/erc20.c, for go-ethereum's interpreter to run beside it.
//
// erc20.hex is the deployed code of `npx solc@0.8.30 --bin-runtime --optimize --no-cbor-metadata erc20.sol`.
pragma solidity 0.8.30;

contract ERC20 {
    mapping(address => uint256) balances;

    event Transfer(address indexed from, address indexed to, uint256 value);

    error InsufficientBalance();

    function transfer(address to, uint256 value) external returns (bool) {
        uint256 balance = balances[msg.sender];
        if (balance < value) revert InsufficientBalance();
        unchecked {
            balances[msg.sender] = balance - value;
        }
        balances[to] += value;
        emit Transfer(msg.sender, to, value);
        return true;
    }
}
