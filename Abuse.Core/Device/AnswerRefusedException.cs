namespace Abuse.Core;

/// <summary>A channel's writer was given an answer that came too late; to write it again would not help.</summary>
public sealed class AnswerRefusedException : InvalidOperationException
{
    /// <summary>An exception without particulars.</summary>
    public AnswerRefusedException()
    {
    }

    /// <summary>An exception with a message.</summary>
    public AnswerRefusedException(string message)
        : base(message)
    {
    }

    /// <summary>An exception with a message and a cause.</summary>
    public AnswerRefusedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal AnswerRefusedException(BioAnswer answer, AnswerResult refusal)
        : base($"The answer {answer.Result} to {answer.Request} was refused: {Describe(refusal)}.")
    {
        Refusal = refusal;
    }

    /// <summary>Why it was refused.</summary>
    public AnswerResult Refusal { get; }

    private static string Describe(AnswerResult refusal) => refusal switch
    {
        AnswerResult.Overtaken => "somebody else had settled the bio",
        AnswerResult.Closed => "the channel was disposed",
        _ => "this delivery was answered or abandoned before",
    };
}
