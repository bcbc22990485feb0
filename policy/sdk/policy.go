package sdk

// This file takes up the functions of a policy, and answers questions by them.

import (
	"encoding/json"
	"fmt"
)

var (
	statements func(*StatementBatch) []Answer
	uploads    func(*UploadBatch) []UploadAnswer
	wants      Question
)

// Statements sets the function that decides about statements. It returns one answer for each.
func Statements(decide func(*StatementBatch) []Answer) { statements = decide }

// Uploads sets the function that decides about uploads. It returns one answer for each.
func Uploads(decide func(*UploadBatch) []UploadAnswer) { uploads = decide }

// WantCosts says that the policy looks at Statement.Seconds and Bytes.
func WantCosts() { wants = WithCosts }

// questions are those that the policy answers, and what it wants to know.
func questions() Question {
	set := wants
	if statements != nil {
		set |= AboutStatements
	}
	if uploads != nil {
		set |= AboutUploads
	}
	return set
}

// answer answers a question. What is wrong with it is for chainbuild to report: it panics, which ends the policy.
func answer(question Question, text []byte) []byte {
	switch {
	case question == AboutStatements && statements != nil:
		var batch StatementBatch
		read(text, &batch)
		return write(StatementAnswers{statements(&batch)})
	case question == AboutUploads && uploads != nil:
		var batch UploadBatch
		read(text, &batch)
		return write(UploadAnswers{uploads(&batch)})
	}
	panic(fmt.Sprintf("the policy was asked the question %d, which it does not answer", question))
}

func read(text []byte, into any) {
	if err := json.Unmarshal(text, into); err != nil {
		panic(err)
	}
}

func write(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}
