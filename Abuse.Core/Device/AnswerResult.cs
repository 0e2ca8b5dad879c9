namespace Abuse.Core;

/// <summary>What became of a server's answer.</summary>
public enum AnswerResult
{
    /// <summary>It settled the bio.</summary>
    Accepted,

    /// <summary>
    /// Somebody or something else had settled the bio: another server, a cancellation, a reset, a device failure. 2009's ENOMSG. Nothing
    /// of the answer reached the submitter.
    /// </summary>
    Overtaken,

    /// <summary>This delivery was answered or abandoned before.</summary>
    AlreadyAnswered,

    /// <summary>The channel was disposed, which gave the bio back; nothing of the answer reached the submitter.</summary>
    Closed,
}
