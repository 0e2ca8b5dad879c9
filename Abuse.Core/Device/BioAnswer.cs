namespace Abuse.Core;

/// <summary>An answer as it goes through a channel's writer.</summary>
/// <param name="Request">What is answered.</param>
/// <param name="Result">The outcome; not <see cref="BioResult.Pending"/>.</param>
public readonly record struct BioAnswer(BioRequest Request, BioResult Result);
