namespace Abuse.Core;

/// <summary>That a rule fired for a bio.</summary>
/// <param name="Rule">The rule.</param>
/// <param name="Index">Its place in the plan.</param>
/// <param name="Ordinal">For which of the bios that it selected.</param>
internal readonly record struct FaultFiring(FaultRule Rule, int Index, long Ordinal);

/// <summary>What a plan says of one bio: <c>default</c> for nothing.</summary>
internal struct FaultDecision
{
    /// <summary>What ends the bio or has it done otherwise.</summary>
    internal FaultFiring? Deciding { get; set; }

    /// <summary>A bit that changes beside.</summary>
    internal FaultFiring? Rot { get; set; }

    /// <summary>An episode that begins with this bio.</summary>
    internal FaultFiring? Limp { get; set; }

    /// <summary>A delay, and which rule's; if several delay, the longest.</summary>
    internal FaultFiring? Delay { get; set; }

    internal readonly FaultEffect? Effect => Deciding?.Rule.Effect;
}
